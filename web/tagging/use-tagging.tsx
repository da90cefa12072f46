import { Tag } from 'lucide-react';
import { type ReactNode, useState } from 'react';
import { changeTitle } from '../captions/bulk/change-form.js';
import { startJob, useJob } from '../captions/bulk/jobs.js';
import { type BulkChange, planChanges, retagging } from '../captions/bulk/plan.js';
import type { KnownTag } from '../captions/editing/use-completion.js';
import { rewriteCaption } from '../captions/editing/rewrite-caption.js';
import { type ReadPairs, textOf } from '../captions/read-pairs.js';
import { isSentence, retagged, tagsIn, withTag } from '../captions/tags/caption-tags.js';
import { useKeys, withKey } from '../keys.js';
import type { Pair } from '../live/pairs.js';
import { useCanWrite } from '../session/account.js';
import { useConnect, useIsShared } from '../session/client.js';
import { WriteButton } from '../session/write-button.js';
import { DecideDialog } from './decide-dialog.js';
import { TagDialog } from './tag-dialog.js';

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
  const isShared = useIsShared();
  const job = useJob(datasetId);
  const { pins, pin } = useTagPins(datasetId);
  const [question, setQuestion] = useState<Question>();
  const [note, setNote] = useState('');
  const targets = selected.length > 0 ? selected : current === undefined ? [] : [current];
  const canAsk = canWrite && targets.length > 0;
  const ask = (verb: 'add' | 'remove') => {
    if (canAsk) setQuestion({ verb, pairs: targets });
  };
  const change = (bulk: BulkChange) => {
    if (job !== undefined && job.state !== 'ended') return setNote('Another change to captions runs.');
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
    dialog: question && (
      <Asked {...{ datasetId, question }} tags={captions.tags} onClose={() => setQuestion(undefined)} />
    ),
    verbs: isTraining && !isShared && <TagButtons onAsk={ask} />,
    tagVerbs: canWrite
      ? {
          pins,
          onPin: pin,
          selected: selected.length,
          onAdd: (tag: string) => (selected.length > 0 ? change({ kind: 'add', tag }) : setNote('Select pairs first.')),
          onDecide: (tag: string) =>
            setQuestion({
              verb: 'decide',
              tag,
              pairs: selected.length > 0 ? selected : (captions.read.pairs ?? []),
            }),
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

function TagButtons({ onAsk }: { onAsk: (verb: 'add' | 'remove') => void }) {
  return (
    <>
      <WriteButton title={withKey('Add a tag to the selected pairs', 'addTag')} onClick={() => onAsk('add')}>
        <Tag size={16} aria-hidden /> Tag
      </WriteButton>
      <WriteButton title={withKey('Remove a tag from the selected pairs', 'removeTag')} onClick={() => onAsk('remove')}>
        Untag
      </WriteButton>
    </>
  );
}

interface AskedProps {
  readonly datasetId: string;
  readonly tags: readonly KnownTag[];
  readonly question: Question;
  readonly onClose: () => void;
}

function Asked({ datasetId, question, tags, onClose }: AskedProps): ReactNode {
  const { verb, pairs } = question;
  if (verb === 'decide') return <DecideDialog {...{ datasetId, pairs, onClose }} tag={question.tag} />;
  return <TagDialog {...{ datasetId, verb, pairs, onClose }} tags={tags.map(({ term }) => term)} />;
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
