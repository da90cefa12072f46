import { useDeferredValue, useEffect, useMemo, useState } from 'react';
import type { Pair } from '../../live/pairs.js';
import { ONLY_READS, useCanWrite } from '../../session/account.js';
import { useConnect } from '../../session/client.js';
import { numberOf } from '../../ui/format.js';
import { forEachInChunks } from '../in-chunks.js';
import { textOf } from '../read-pairs.js';
import { changeTitle, isComplete } from './change-form.js';
import { ChangeList } from './change-list.js';
import { startJob, useJob } from './jobs.js';
import { type BulkChange, type CaptionChange, changePlanner, leavesOut, planChanges } from './plan.js';

interface ChangePlan {
  readonly change: BulkChange;
  readonly pairs: readonly Pair[];
  readonly changes: readonly CaptionChange[];
  /** The number of captions that are left out because they are sentences. */
  readonly sentences: number;
}

/** Plans a change to pairs. While it plans, returns the previous plan; `undefined` at first. */
function useChangePlan(pairs: readonly Pair[], change: BulkChange): ChangePlan | undefined {
  const [plan, setPlan] = useState<ChangePlan>();
  useEffect(() => {
    const planning = new AbortController();
    const changes: CaptionChange[] = [];
    const plan = changePlanner(textOf, change);
    let sentences = 0;
    const planPair = (pair: Pair) => {
      const planned = plan(pair);
      const text = pair.caption && textOf(pair.caption);
      if (text !== undefined && leavesOut(change, text)) sentences++;
      if (planned !== undefined) changes.push(planned);
    };
    forEachInChunks(pairs, planPair, planning.signal).then(
      () => !planning.signal.aborted && setPlan({ change, pairs, changes, sentences }),
      () => {},
    );
    return () => planning.abort();
  }, [pairs, change]);
  return plan;
}

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
  const plan = useChangePlan(pairs, useDeferredValue(change));
  const [left, setLeft] = useState({ change, filenames: NONE });
  const leftOut = left.change === change ? left.filenames : NONE;
  const isCurrent = plan !== undefined && plan.change === change && plan.pairs === pairs;
  const count = (plan?.changes.length ?? 0) - leftOut.size;
  return {
    plan,
    leftOut,
    count,
    canStart: canWrite && !isRunning && isComplete(change) && (!isCurrent || count > 0),
    whyNot: !canWrite ? ONLY_READS : isRunning ? 'Another change to captions runs.' : undefined,
    toggle: (filename: string) => {
      const filenames = new Set(leftOut);
      if (!filenames.delete(filename)) filenames.add(filename);
      setLeft({ change, filenames });
    },
    /** Makes the change. Returns whether it has begun. */
    start: (): boolean => {
      const planned = isCurrent ? plan.changes : planChanges(pairs, textOf, change);
      const changes = planned.filter(({ filename }) => !leftOut.has(filename));
      if (!canWrite || isRunning || !isComplete(change) || changes.length === 0) return false;
      startJob(connect, datasetId, changeTitle(change, changes.length), changes);
      return true;
    },
  };
}

type PlannedChange = ReturnType<typeof usePlannedChange>;

/** Every caption that a change would change, each with a box to leave it out, and the captions that it leaves out itself. */
export function ChangePreview({ planned }: { planned: PlannedChange }) {
  const { plan, leftOut, toggle } = planned;
  const shown = useMemo(() => plan?.changes.map((change) => ({ change })) ?? [], [plan]);
  return (
    <>
      {plan !== undefined && plan.sentences > 0 && (
        <p className="text-sm text-muted">
          {plan.sentences === 1
            ? '1 caption is written in sentences, and stays as it is.'
            : `${numberOf(plan.sentences)} captions are written in sentences, and stay as they are.`}
        </p>
      )}
      {shown.length > 0 && <ChangeList label="Planned changes" changes={shown} leftOut={leftOut} onToggle={toggle} />}
    </>
  );
}
