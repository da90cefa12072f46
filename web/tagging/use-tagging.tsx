import { Check, ChevronLeft, ChevronRight, Tag, X } from 'lucide-react';
import { useEffect, useEffectEvent, useId, useMemo, useState } from 'react';
import { startJob, useJob } from '../captions/bulk/jobs.js';
import { type BulkChange, type CaptionChange, changeTitle, planChanges, retagging } from '../captions/bulk/plan.js';
import type { KnownTag } from '../captions/editing/use-completion.js';
import { rewriteCaption } from '../captions/editing/drafts.js';
import { textStateOf } from '../captions/editing/texts.js';
import { type ReadPairs, textOf } from '../captions/read-pairs.js';
import { useTerms } from '../captions/terms/use-terms.js';
import { isSentence, retagged, tagsIn, withTag } from '../captions/tags/caption-tags.js';
import { useKeys, withKey } from '../keys.js';
import type { Pair } from '../live/pairs.js';
import { useCanWrite } from '../session/account.js';
import { useConnect } from '../session/client.js';
import { WriteButton } from '../session/write-button.js';
import { PlannedChangeDialog, usePlannedChange } from '../captions/bulk/change-preview.js';
import { Button } from '../ui/button.js';
import { TextField } from '../ui/fields.js';
import { countOf, numberOf } from '../ui/format.js';
import { warnBeforeLeaving } from '../ui/store.js';
import { Placeholder } from '../pairs/media.js';
import { Full } from '../pairs/viewer/full.js';
import { Dialog } from '../ui/dialog.js';

interface TaggingOptions {
  readonly datasetId: string;
  readonly isTraining: boolean;
  /** The captions that are read, and their tags with the most frequent first. */
  readonly captions: { readonly read: Pick<ReadPairs, 'pairs'>; readonly tags: readonly KnownTag[] };
  readonly selected: readonly Pair[];
  /** The pair that has the focus. */
  readonly current: Pair | undefined;
}

type Question =
  | { readonly verb: 'add' | 'remove'; readonly pairs: readonly Pair[] }
  | { readonly verb: 'decide'; readonly tag: string; readonly pairs: readonly Pair[] };

/** The keys, buttons and dialogs that change tags of the selected pairs, or of the pair that has the focus. */
export function useTagging(options: TaggingOptions) {
  const { datasetId, isTraining, captions, selected, current } = options;
  const connect = useConnect();
  const canWrite = useCanWrite() && isTraining;
  const job = useJob(datasetId);
  const { pins, pin } = useTagPins(datasetId);
  const [question, setQuestion] = useState<Question>();
  const [note, setNote] = useState('');
  const targets = selected.length > 0 ? selected : current === undefined ? [] : [current];
  const canAsk = canWrite && targets.length > 0;
  // A change of captions that are not all read would leave some out: a question waits until they are.
  const areRead = captions.read.pairs !== undefined;
  const onClose = () => setQuestion(undefined);
  const ask = (verb: 'add' | 'remove') => {
    if (canAsk) setQuestion({ verb, pairs: targets });
  };
  const isRunning = job !== undefined && job.state !== 'ended';
  const change = (bulk: BulkChange) => {
    if (isRunning) return setNote('Another change to captions runs.');
    // One that was changed elsewhere a moment ago may not be.
    const areTextsRead = targets.every(({ caption }) => !caption || textStateOf(caption.sha256).state === 'read');
    if (!areTextsRead) return setNote('The captions are not read yet.');
    const changes = planChanges(targets, textOf, bulk);
    if (changes.length > 0) startJob(connect, datasetId, changeTitle(bulk, changes.length), changes);
    else setNote('Each of them has the tag, or is written in sentences.');
  };
  const toggle = (tag: string) => {
    if (selected.length === 0 && current !== undefined) return setNote(toggledNote(datasetId, current, tag));
    const lists = selected.map(({ caption }) => tagsIn((caption && textOf(caption)) ?? ''));
    const isRemoval = lists.every((list) => list.includes(tag));
    change(isRemoval ? retagging(tag) : { kind: 'add', tag });
  };
  useKeys({
    addTag: canAsk ? () => ask('add') : undefined,
    removeTag: canAsk ? () => ask('remove') : undefined,
    pinnedTag: ({ key }) => {
      const tag = pins[key];
      if (tag === undefined || !canAsk) return false;
      toggle(tag);
    },
  });
  return {
    note,
    dialog:
      question?.verb === 'decide' ? (
        <DecideDialog {...{ datasetId, onClose }} {...question} />
      ) : (
        question && areRead && <TagDialog {...{ datasetId, onClose }} {...question} tags={captions.tags} />
      ),
    verbs: isTraining && (
      <>
        <WriteButton icon={Tag} title={withKey('Add a tag to the selected pairs', 'addTag')} onClick={() => ask('add')}>
          Tag
        </WriteButton>
        <WriteButton title={withKey('Remove a tag from the selected pairs', 'removeTag')} onClick={() => ask('remove')}>
          Untag
        </WriteButton>
      </>
    ),
    tagVerbs: canWrite
      ? {
          pins,
          onPin: pin,
          selected: selected.length,
          onAdd: (tag: string) => (selected.length > 0 ? change({ kind: 'add', tag }) : setNote('Select pairs first.')),
          onDecide: (tag: string) => {
            if (isRunning) return setNote('Another change to captions runs.');
            const asked = selected.length > 0 ? selected : (captions.read.pairs ?? []);
            setQuestion({ verb: 'decide', tag, pairs: asked });
          },
        }
      : undefined,
  };
}

/** Adds the tag to the caption of a pair, or removes it. Returns what was done, in words. */
function toggledNote(datasetId: string, pair: Pair, tag: string): string {
  let words = `“${tag}” added to ${pair.stem}.`;
  const after = rewriteCaption(datasetId, pair, (text) => {
    if (isSentence(text)) {
      words = `The caption of ${pair.stem} is written in sentences, and stays as it is.`;
      return text;
    }
    if (!tagsIn(text).includes(tag)) return withTag(text, tag);
    words = `“${tag}” removed from ${pair.stem}.`;
    return retagged(text, (each) => each === tag, '');
  });
  return after === undefined ? `The caption of ${pair.stem} is not read yet.` : words;
}

/** The tags that are pinned to the keys 1 to 9, by key. */
type TagPins = Readonly<Record<string, string>>;

const keyOf = (datasetId: string) => `trainyard-pins-${datasetId}`;

/** The tags of a dataset that are pinned to keys, which this browser keeps. To pin a tag to its key again takes it off. */
function useTagPins(datasetId: string) {
  const [pins, setPins] = useState<TagPins>(
    () => JSON.parse(localStorage.getItem(keyOf(datasetId)) ?? '{}') as TagPins,
  );
  const pin = (key: string, tag: string) => {
    const others = Object.entries(pins).filter(([each, pinned]) => each !== key && pinned !== tag);
    const next = Object.fromEntries(pins[key] === tag ? others : [...others, [key, tag]]);
    localStorage.setItem(keyOf(datasetId), JSON.stringify(next));
    setPins(next);
  };
  return { pins, pin };
}

/** More completions than this would be a list to search, not to choose from. */
const MAX_OFFERED = 200;

/** Shown as buttons. */
const MAX_BUTTONS = 24;

interface TagDialogProps {
  readonly datasetId: string;
  readonly verb: 'add' | 'remove';
  readonly pairs: readonly Pair[];
  /** All tags of the dataset, the frequent ones first. */
  readonly tags: readonly KnownTag[];
  readonly onClose: () => void;
}

/** Adds a tag to the captions of pairs, or removes one from them, after a preview of each. */
function TagDialog({ datasetId, verb, pairs, tags, onClose }: TagDialogProps) {
  const [text, setText] = useState('');
  const list = useId();
  const own = (useTerms(pairs, 'tag')?.terms ?? []).toReversed();
  const isRemoval = verb === 'remove';
  const offered = isRemoval ? own : tags.slice(0, MAX_OFFERED);
  const change = useMemo<BulkChange>(
    () => (isRemoval ? retagging(text) : { kind: 'add', tag: text }),
    [isRemoval, text],
  );
  const planned = usePlannedChange({ datasetId, pairs, change });
  const whose = pairs.length === 1 ? pairs[0]!.stem : countOf(pairs.length, 'pair');
  const isTyped = text.trim() !== '';
  const captions = countOf(planned.count, 'caption');
  return (
    <PlannedChangeDialog
      title={isRemoval ? `Remove a tag from ${whose}` : `Add a tag to ${whose}`}
      {...{ planned, onClose }}
      kind={isRemoval ? 'danger' : 'primary'}
      label={isTyped ? `${isRemoval ? 'Remove from' : 'Add to'} ${captions}` : isRemoval ? 'Remove' : 'Add'}
    >
      <TextField label="Tag" list={list} value={text} onChange={setText} />
      <datalist id={list}>
        {offered.map(({ term }) => (
          <option key={term} value={term} />
        ))}
      </datalist>
      {isRemoval && own.length === 0 && <p className="text-sm text-muted">Their captions have no tags.</p>}
      {isRemoval && (
        <ul aria-label="Tags of these pairs" className="flex flex-wrap gap-1.5">
          {own.slice(0, MAX_BUTTONS).map(({ term, captions: having }) => (
            <li key={term}>
              <Button aria-pressed={term === text} onClick={() => setText(term)} className="aria-pressed:border-accent">
                {term} <span className="text-muted tabular-nums">{numberOf(having.length)}</span>
              </Button>
            </li>
          ))}
        </ul>
      )}
      {isTyped && (
        <p role="status" className="text-sm text-muted">
          {planned.changes.length === 0 &&
            (isRemoval ? 'None of their captions has this tag.' : 'Each of their captions has this tag.')}
        </p>
      )}
    </PlannedChangeDialog>
  );
}

interface DecideDialogProps {
  readonly datasetId: string;
  readonly tag: string;
  readonly pairs: readonly Pair[];
  readonly onClose: () => void;
}

/** Shows one picture after another: the user says whether it has a tag. What was decided is saved at once when it closes. */
function DecideDialog({ datasetId, tag, pairs, onClose }: DecideDialogProps) {
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
  const save = useEffectEvent(() => {
    const title = `Decide “${tag}” in ${countOf(changes.length, 'caption')}`;
    if (changes.length > 0) startJob(connect, datasetId, title, changes);
  });
  // However it is left: by a button, Escape, or the browser's Back.
  useEffect(() => () => save(), []);
  useKeys({
    decideYes: () => decide(true),
    decideNo: () => decide(false),
    decideBack: () => go(-1),
    decideSkip: () => go(1),
  });
  useEffect(() => warnBeforeLeaving(() => changes.length > 0), [changes]);
  const sentences = pairs.filter((each) => each.media.length > 0).length - asked.length;
  return (
    <Dialog title={`“${tag}”?`} width="max-w-5xl" keyPlace="decisions" staysOnClickOutside onClose={onClose}>
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
        {pair !== undefined &&
          ANSWERS.map(({ has, words, ...button }) => (
            <Button
              key={words}
              {...button}
              // The answer that the caption gives now.
              aria-pressed={has === (decisions.get(pair.stem) ?? hasTag(pair, tag))}
              onClick={() => decide(has)}
              className="aria-pressed:border-accent aria-pressed:text-accent"
            >
              {words}
            </Button>
          ))}
        <Button
          icon={ChevronLeft}
          kind="quiet"
          aria-label="Back"
          title={withKey('Back', 'decideBack')}
          disabled={index === 0}
          onClick={() => go(-1)}
        />
        <Button
          icon={ChevronRight}
          kind="quiet"
          aria-label="Go on without a decision"
          title={withKey('Go on without a decision', 'decideSkip')}
          disabled={pair === undefined}
          onClick={() => go(1)}
        />
        <Button kind="primary" onClick={onClose} className="ml-auto">
          {changes.length === 0 ? 'Close' : `Save ${countOf(changes.length, 'change')}`}
        </Button>
      </div>
    </Dialog>
  );
}

const ANSWERS = [
  { has: true, words: 'Yes', icon: Check, title: withKey('It has the tag', 'decideYes') },
  { has: false, words: 'No', icon: X, title: withKey('It does not', 'decideNo') },
] as const;

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
