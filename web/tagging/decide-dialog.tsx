import { Check, ChevronLeft, ChevronRight, X } from 'lucide-react';
import { useEffect, useEffectEvent, useMemo, useState } from 'react';
import { startJob } from '../captions/bulk/jobs.js';
import { type CaptionChange, planChanges, retagging } from '../captions/bulk/plan.js';
import { textOf } from '../captions/read-pairs.js';
import { isSentence, tagsIn } from '../captions/tags/caption-tags.js';
import { keyNameOf, withKey } from '../keys.js';
import type { Pair } from '../live/pairs.js';
import { Placeholder } from '../pairs/media.js';
import { Full } from '../pairs/viewer/full.js';
import { useConnect } from '../session/client.js';
import { Button } from '../ui/button.js';
import { Dialog } from '../ui/dialog.js';
import { countOf, numberOf } from '../ui/format.js';

interface DecideDialogProps {
  readonly datasetId: string;
  readonly tag: string;
  readonly pairs: readonly Pair[];
  readonly onClose: () => void;
}

/** Shows one picture after another: the user says whether it has a tag. What was decided is saved at once when it closes. */
export function DecideDialog({ datasetId, tag, pairs, onClose }: DecideDialogProps) {
  const connect = useConnect();
  // Frozen: a caption that changes meanwhile moves no picture.
  const [asked] = useState(() => pairs.filter(isAsked));
  const [index, setIndex] = useState(0);
  const [decisions, setDecisions] = useState<ReadonlyMap<string, boolean>>(new Map());
  const changes = useMemo(() => changesFor(tag, asked, decisions), [tag, asked, decisions]);
  const pair = asked[index];
  const go = (step: number) => setIndex(Math.min(Math.max(index + step, 0), asked.length));
  const decide = (has: boolean) => {
    if (pair === undefined) return;
    setDecisions(new Map(decisions).set(pair.stem, has));
    go(1);
  };
  const save = () => {
    const title = `Decide “${tag}” in ${countOf(changes.length, 'caption')}`;
    if (changes.length > 0) startJob(connect, datasetId, title, changes);
    onClose();
  };
  useDecisionKeys({
    decideYes: () => decide(true),
    decideNo: () => decide(false),
    decideBack: () => go(-1),
    decideSkip: () => go(1),
  });
  useLeaveWarning(changes.length > 0);
  const sentences = pairs.filter((each) => each.media.length > 0).length - asked.length;
  return (
    <Dialog title={`“${tag}”?`} width="max-w-5xl" staysOnClickOutside onClose={save}>
      <p role="status" className="-mt-3 text-sm text-muted tabular-nums">
        {numberOf(decisions.size)} of {numberOf(asked.length)} decided
        {sentences > 0 && ` · ${countOf(sentences, 'caption')} in sentences left out`}
      </p>
      <div className="flex h-[55dvh] items-center justify-center overflow-hidden rounded-lg bg-raised">
        {pair === undefined ? (
          <p className="p-4 text-center font-medium">
            {asked.length === 0 ? 'No picture to decide about.' : 'That was the last picture.'}
          </p>
        ) : pair.media[0] === undefined ? (
          <Placeholder file={undefined} />
        ) : (
          <Full key={pair.stem} datasetId={datasetId} file={pair.media[0]} isCompared />
        )}
      </div>
      {pair !== undefined && (
        <p className="line-clamp-2 min-h-10 text-sm wrap-anywhere text-muted">
          <span className="font-medium text-text">{pair.media[0]?.filename ?? pair.stem}</span>{' '}
          {(pair.caption && textOf(pair.caption)) ?? 'No caption yet'}
        </p>
      )}
      <div className="flex flex-wrap items-center gap-2">
        {pair !== undefined && <Answers hasIt={decisions.get(pair.stem) ?? hasTag(pair, tag)} onDecide={decide} />}
        <Button
          kind="quiet"
          aria-label="Back"
          title={withKey('Back', 'decideBack')}
          disabled={index === 0}
          onClick={() => go(-1)}
        >
          <ChevronLeft size={18} aria-hidden />
        </Button>
        <Button
          kind="quiet"
          aria-label="Go on without a decision"
          title={withKey('Go on without a decision', 'decideSkip')}
          disabled={pair === undefined}
          onClick={() => go(1)}
        >
          <ChevronRight size={18} aria-hidden />
        </Button>
        <Button kind="primary" onClick={save} className="ml-auto">
          {changes.length === 0 ? 'Close' : `Save ${countOf(changes.length, 'change')}`}
        </Button>
      </div>
    </Dialog>
  );
}

/** The answer that the caption gives now is marked. */
function Answers({ hasIt, onDecide }: { hasIt: boolean; onDecide: (has: boolean) => void }) {
  const marked = 'aria-pressed:border-accent aria-pressed:text-accent';
  return (
    <>
      <Button
        aria-pressed={hasIt}
        title={withKey('It has the tag', 'decideYes')}
        onClick={() => onDecide(true)}
        className={marked}
      >
        <Check size={16} aria-hidden /> Yes
      </Button>
      <Button
        aria-pressed={!hasIt}
        title={withKey('It does not', 'decideNo')}
        onClick={() => onDecide(false)}
        className={marked}
      >
        <X size={16} aria-hidden /> No
      </Button>
    </>
  );
}

function isAsked({ media, caption }: Pair): boolean {
  const text = caption === undefined ? '' : textOf(caption);
  return media.length > 0 && text !== undefined && !isSentence(text);
}

function hasTag({ caption }: Pair, tag: string): boolean {
  return tagsIn((caption && textOf(caption)) ?? '').includes(tag);
}

function changesFor(tag: string, pairs: readonly Pair[], decisions: ReadonlyMap<string, boolean>): CaptionChange[] {
  const decided = (has: boolean) => pairs.filter(({ stem }) => decisions.get(stem) === has);
  return [
    ...planChanges(decided(true), textOf, { kind: 'add', tag }),
    ...planChanges(decided(false), textOf, retagging(tag)),
  ];
}

type DecisionKey = 'decideYes' | 'decideNo' | 'decideBack' | 'decideSkip';

function useDecisionKeys(handlers: Readonly<Record<DecisionKey, () => void>>): void {
  const onKeyDown = useEffectEvent((event: KeyboardEvent) => {
    const name = keyNameOf(event, 'decisions');
    if (name === undefined || event.repeat) return;
    handlers[name as DecisionKey]();
    event.preventDefault();
  });
  useEffect(() => {
    const handle = (event: KeyboardEvent) => onKeyDown(event);
    document.addEventListener('keydown', handle);
    return () => document.removeEventListener('keydown', handle);
  }, []);
}

/** Asks before the tab is closed with decisions that are not saved. */
function useLeaveWarning(isUnsaved: boolean): void {
  useEffect(() => {
    if (!isUnsaved) return;
    const onLeave = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener('beforeunload', onLeave);
    return () => removeEventListener('beforeunload', onLeave);
  }, [isUnsaved]);
}
