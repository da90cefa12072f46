import { type ReactNode, useDeferredValue, useMemo, useState } from 'react';
import type { Pair } from '../../live/pairs.js';
import { ONLY_READS, useCanWrite } from '../../session/account.js';
import { useConnect } from '../../session/client.js';
import { FormDialog } from '../../session/dialog-form.js';
import { numberOf } from '../../ui/format.js';
import { textOf } from '../read-pairs.js';
import { startJob, useJob } from './jobs.js';
import { type BulkChange, type CaptionChange, changeTitle, isComplete, leavesOut, planChanges } from './plan.js';
import { LongList } from '../../ui/long-list.js';
import { Difference } from '../difference/marked-difference.js';

interface PlannedChangeOptions {
  readonly datasetId: string;
  /** The pairs to change. */
  readonly pairs: readonly Pair[];
  readonly change: BulkChange;
}

const NONE: ReadonlySet<string> = new Set();

/** A change to many captions that is planned while it is described, with the captions that the user leaves out. */
export function usePlannedChange({ datasetId, pairs, change }: PlannedChangeOptions) {
  const connect = useConnect();
  const canWrite = useCanWrite();
  const job = useJob(datasetId);
  const isRunning = job !== undefined && job.state !== 'ended';
  // Typing stays responsive; the preview follows.
  const planned = useDeferredValue(change);
  const { changes, sentences } = useMemo(() => {
    const leftOut = pairs.filter(({ caption }) => caption && leavesOut(planned, textOf(caption) ?? ''));
    return { changes: planChanges(pairs, textOf, planned), sentences: leftOut.length };
  }, [pairs, planned]);
  const [left, setLeft] = useState({ change, filenames: NONE });
  const leftOut = left.change === change ? left.filenames : NONE;
  const count = changes.filter(({ filename }) => !leftOut.has(filename)).length;
  return {
    changes,
    /** The number of captions that are left out because they are sentences. */
    sentences,
    leftOut,
    count,
    canStart: canWrite && !isRunning && isComplete(change) && (planned !== change || count > 0),
    whyNot: !canWrite ? ONLY_READS : isRunning ? 'Another change to captions runs.' : undefined,
    toggle: (filename: string) => {
      const filenames = new Set(leftOut);
      if (!filenames.delete(filename)) filenames.add(filename);
      setLeft({ change, filenames });
    },
    /** Makes the change. Returns whether it has begun. */
    start: (): boolean => {
      const chosen = planChanges(pairs, textOf, change).filter(({ filename }) => !leftOut.has(filename));
      if (!canWrite || isRunning || !isComplete(change) || chosen.length === 0) return false;
      startJob(connect, datasetId, changeTitle(change, chosen.length), chosen);
      return true;
    },
  };
}

type PlannedChange = ReturnType<typeof usePlannedChange>;

/** Every caption that a change would change, each with a box to leave it out, and the captions that it leaves out itself. */
export function ChangePreview({ planned }: { planned: PlannedChange }) {
  const { changes, sentences, leftOut, toggle } = planned;
  return (
    <>
      {sentences > 0 && (
        <p className="text-sm text-muted">
          {sentences === 1
            ? '1 caption is written in sentences, and stays as it is.'
            : `${numberOf(sentences)} captions are written in sentences, and stay as they are.`}
        </p>
      )}
      {changes.length > 0 && <ChangeList label="Planned changes" {...{ changes, leftOut }} onToggle={toggle} />}
    </>
  );
}

interface PlannedChangeDialogProps {
  readonly title: string;
  readonly planned: PlannedChange;
  readonly kind: 'primary' | 'danger';
  /** Of the button that makes the change. */
  readonly label: string;
  readonly onClose: () => void;
  /** The fields that describe the change. */
  readonly children?: ReactNode;
}

/** A dialog that describes a change to many captions, shows it, and makes it. */
export function PlannedChangeDialog({ planned, children, ...form }: PlannedChangeDialogProps) {
  const work = async () => {
    if (planned.start()) form.onClose();
  };
  return (
    <FormDialog {...form} work={work} isDisabled={!planned.canStart} whyNot={planned.whyNot}>
      {children}
      <ChangePreview planned={planned} />
    </FormDialog>
  );
}

/** A change, or why it was not made. */
type ListedChange = CaptionChange & { readonly reason?: ReactNode };

interface ChangeListProps {
  readonly label: string;
  readonly changes: readonly ListedChange[];
  /** The files whose changes are left out. With it, each change has a box. */
  readonly leftOut?: ReadonlySet<string>;
  readonly onToggle?: (filename: string) => void;
}

/** A list of changes: removed words struck out, added words underlined. A change with a reason shows the reason instead. */
export function ChangeList({ label, changes, leftOut, onToggle }: ChangeListProps) {
  return (
    <LongList isFramed label={label} items={changes}>
      {({ filename, before, after, reason }) => (
        <div className="flex flex-col gap-0.5 px-3 py-2 text-sm">
          {leftOut === undefined ? (
            <span className="text-xs wrap-anywhere text-muted">{filename}</span>
          ) : (
            <label className="-my-1 flex min-h-6 cursor-pointer items-center gap-2 text-xs text-muted pointer-coarse:min-h-11">
              <input
                type="checkbox"
                checked={!leftOut.has(filename)}
                onChange={() => onToggle?.(filename)}
                aria-label={`Change ${filename}`}
                className="size-4 shrink-0 accent-accent"
              />
              <span className="wrap-anywhere">{filename}</span>
            </label>
          )}
          {reason !== undefined ? (
            <p className="wrap-anywhere text-bad">{reason}</p>
          ) : leftOut?.has(filename) ? (
            <p className="whitespace-pre-wrap wrap-anywhere text-muted">{before}</p>
          ) : (
            <Difference before={before ?? ''} after={after} />
          )}
        </div>
      )}
    </LongList>
  );
}
