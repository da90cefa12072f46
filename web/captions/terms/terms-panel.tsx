import { ChevronRight, Search } from 'lucide-react';
import {
  type FormEvent,
  type KeyboardEvent,
  memo,
  useDeferredValue,
  useEffect,
  useMemo,
  useRef,
  useState,
} from 'react';
import { countOf, foldCase, numberOf } from '../../ui/format.js';
import { LongList } from '../../ui/long-list.js';
import { Choices, Panel } from '../../ui/panel.js';
import { captionsWith, type TermCounts } from './use-terms.js';
import type { Term, TermKind } from './terms.js';
import { cleaned, nearTagsAmong, tagKeyOf } from '../tags/caption-tags.js';
import { Button } from '../../ui/button.js';
import { ChangePreview, usePlannedChange } from '../bulk/change-preview.js';
import { retagging } from '../bulk/plan.js';
import { KEY_TABLE, keyNameOf, withKey } from '../../keys.js';

type Order = 'rare' | 'frequent';

interface TermsPanelProps {
  readonly kind: TermKind;
  readonly counts: TermCounts | undefined;
  readonly selected: string | undefined;
  readonly onKind: (kind: TermKind) => void;
  readonly onSelect: (term: string) => void;
  readonly datasetId: string;
  /** What can be done with tags; `undefined` where nothing may be changed. */
  readonly verbs: Omit<TagVerbs, 'onRename' | 'onRemove'> | undefined;
  /** Called when a tag is being renamed; with an empty text, when it is being removed. */
  readonly onRenamed: (from: string, to: string) => void;
}

/** The tags or words of all captions, each with the number of captions that contain it. */
export const TermsPanel = memo(function TermsPanel(props: TermsPanelProps) {
  const { kind, counts, selected, onKind, onSelect, datasetId, verbs, onRenamed } = props;
  const [search, setSearch] = useState('');
  const [order, setOrder] = useState<Order>('frequent');
  // Typing stays responsive; the list follows.
  const needle = useDeferredValue(foldCase(search.trim()));
  const shown = useMemo(() => {
    const found = (counts?.terms ?? []).filter(({ folded }) => folded.includes(needle));
    return order === 'rare' ? found : found.sort((a, b) => b.captions.length - a.captions.length);
  }, [counts, needle, order]);
  const noun = kind === 'tag' ? 'tag' : 'word';
  // Kept here, since a row is rendered anew when it moves or is scrolled away.
  const [edited, setEdited] = useState<TagEdit>();
  const tagVerbs = verbs &&
    kind === 'tag' && {
      ...verbs,
      onRename: (tag: string) => setEdited({ tag, text: tag }),
      onRemove: (tag: string) => setEdited({ tag, text: undefined }),
    };
  return (
    <Panel
      title={kind === 'tag' ? 'Tags' : 'Words'}
      aside={
        <Choices label="Count" isLabelHidden options={{ tag: 'Tags', word: 'Words' }} value={kind} onChange={onKind} />
      }
    >
      <search className="flex flex-wrap items-center gap-2 text-sm">
        <div className="relative min-w-32 grow">
          <Search size={16} aria-hidden className="absolute top-2.5 left-2.5 text-muted" />
          <input
            type="search"
            aria-label={`Search ${noun}s`}
            placeholder={`Search ${noun}s`}
            value={search}
            onChange={(event) => setSearch(event.target.value)}
            className="min-h-9 touch w-full rounded-lg border border-line bg-page py-1 pr-2 pl-8"
          />
        </div>
        <select
          aria-label="Order"
          value={order}
          onChange={(event) => setOrder(event.target.value as Order)}
          className="min-h-9 touch rounded-lg border border-line bg-page px-2"
        >
          <option value="frequent">Frequent first</option>
          <option value="rare">Rare first</option>
        </select>
      </search>
      {counts === undefined ? (
        <p className="text-sm text-muted">Counting …</p>
      ) : (
        <>
          <p role="status" className="text-sm text-muted">
            {counts.terms.length === 0
              ? `No ${noun}s yet`
              : shown.length === 0
                ? `No ${noun} matches the search`
                : countOf(shown.length, `different ${noun}`)}
            {counts.sentences > 0 && `. ${countOf(counts.sentences, 'caption')} in sentences: see Words.`}
          </p>
          {tagVerbs && <NearTags {...{ datasetId, counts, onRenamed }} />}
          <LongList label={kind === 'tag' ? 'Tags' : 'Words'} items={shown} keyOf={({ term }) => term}>
            {(term) =>
              tagVerbs && edited?.tag === term.term ? (
                <TagEditor
                  key={`${edited.tag} ${edited.text === undefined}`}
                  {...{ datasetId, counts, onRenamed }}
                  edit={edited}
                  onEdit={setEdited}
                />
              ) : (
                <TermRow
                  term={term}
                  isSelected={term.term === selected}
                  onSelect={() => onSelect(term.term)}
                  verbs={tagVerbs || undefined}
                />
              )
            }
          </LongList>
        </>
      )}
    </Panel>
  );
});

type NearTagsProps = Pick<TagEditorProps, 'datasetId' | 'counts' | 'onRenamed'>;

/** Tags that are probably other spellings of a more frequent one, each with an offer to merge it. */
function NearTags(props: NearTagsProps) {
  const { terms } = props.counts;
  const [merged, setMerged] = useState<TagEdit>();
  const near = useMemo(() => nearTagsAmong(terms), [terms]);
  if (near.length === 0) return null;
  return (
    <details className="group/near rounded-lg border border-line text-sm">
      <summary className="flex touch min-h-9 cursor-pointer items-center gap-2 px-2">
        <ChevronRight size={14} className="shrink-0 transition-transform group-open/near:rotate-90" aria-hidden />
        {countOf(near.length, 'near spelling')}
      </summary>
      <LongList label="Near spellings" items={near} keyOf={({ from }) => from.term}>
        {({ from, to }) =>
          from.term === merged?.tag ? (
            <TagEditor {...props} edit={merged} onEdit={setMerged} />
          ) : (
            <button
              type="button"
              onClick={() => setMerged({ tag: from.term, text: to.term })}
              className="w-full cursor-pointer px-2 py-1.5 text-left wrap-anywhere hover:bg-raised"
            >
              Merge <b className="font-semibold">{from.term}</b> ({numberOf(from.captions.length)}) into{' '}
              <b className="font-semibold">{to.term}</b> ({numberOf(to.captions.length)})
            </button>
          )
        }
      </LongList>
    </details>
  );
}

/** What is done to a tag. */
interface TagEdit {
  readonly tag: string;
  /** As it is typed; `undefined` for a tag that is removed. */
  readonly text: string | undefined;
}

interface TagEditorProps {
  readonly datasetId: string;
  readonly counts: TermCounts;
  readonly edit: TagEdit;
  /** Called with `undefined` at the end. */
  readonly onEdit: (edit: TagEdit | undefined) => void;
  /** Called when the change has begun, with the new tag; empty if it is removed. */
  readonly onRenamed: (from: string, to: string) => void;
}

/** Renames a tag in place, merges it into another one, or removes it from all captions. */
function TagEditor({ datasetId, counts, edit, onEdit, onRenamed }: TagEditorProps) {
  const { tag: term, text } = edit;
  const isRemoval = text === undefined;
  const to = isRemoval ? '' : tagKeyOf(cleaned(text));
  const onClose = () => onEdit(undefined);
  const pairs = useMemo(() => captionsWith(counts, term), [counts, term]);
  const change = useMemo(() => retagging(term, to), [term, to]);
  const planned = usePlannedChange({ datasetId, pairs, change });
  const input = useRef<HTMLInputElement>(null);
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    if (input.current === null) form.current?.querySelector('button')?.focus();
    else input.current.select();
    form.current?.scrollIntoView({ block: 'nearest' });
  }, []);
  const start = (event: FormEvent) => {
    event.preventDefault();
    if (to === term || !planned.start()) return;
    onClose();
    onRenamed(term, to);
  };
  const words = wordsOf({ to, target: counts.terms.find((each) => each.term === to && to !== term) }, planned.count);
  return (
    <form
      ref={form}
      aria-label={isRemoval ? `Remove the tag ${term}` : `Rename the tag ${term}`}
      onSubmit={start}
      onKeyDown={(event) => {
        if (event.key !== 'Escape' || event.nativeEvent.isComposing) return;
        event.preventDefault();
        event.stopPropagation();
        onClose();
      }}
      className="flex flex-col gap-2 bg-page p-2 text-sm"
    >
      {isRemoval ? (
        <span className="font-medium wrap-anywhere">{term}</span>
      ) : (
        <input
          ref={input}
          aria-label={`New text of the tag ${term}`}
          autoComplete="off"
          value={text}
          onChange={(event) => onEdit({ ...edit, text: event.target.value })}
          className="min-h-9 touch w-full rounded-md border border-accent bg-panel px-2 pointer-coarse:text-base"
        />
      )}
      <div className="flex flex-wrap gap-1">
        <Button
          type="submit"
          kind={to === '' ? 'danger' : 'primary'}
          disabled={to === term || !planned.canStart}
          title={planned.whyNot}
          className="wrap-anywhere"
        >
          {words}
        </Button>
        <Button kind="quiet" onClick={onClose}>
          Cancel
        </Button>
      </div>
      <ChangePreview planned={planned} />
    </form>
  );
}

function wordsOf({ to, target }: { to: string; target: Term | undefined }, count: number): string {
  if (to === '') return `Remove from ${countOf(count, 'caption')}`;
  if (target !== undefined) return `Merge into ${target.term} (${numberOf(target.captions.length)})`;
  return `Rename in ${countOf(count, 'caption')}`;
}

/** What can be done with a tag. */
interface TagVerbs {
  readonly onRename: (tag: string) => void;
  readonly onRemove: (tag: string) => void;
  /** Adds the tag to the selected pairs. */
  readonly onAdd: (tag: string) => void;
  /** Asks for each picture whether it has the tag. */
  readonly onDecide: (tag: string) => void;
  readonly onPin: (key: string, tag: string) => void;
  readonly pins: Readonly<Record<string, string>>;
  /** The number of selected pairs. */
  readonly selected: number;
}

interface TermRowProps {
  readonly term: Term;
  readonly isSelected: boolean;
  readonly onSelect: () => void;
  /** `undefined` for words, and where nothing may be changed. */
  readonly verbs: TagVerbs | undefined;
}

/** A tag or word with the number of its captions. A chosen tag shows what can be done with it. */
function TermRow({ term: { term, captions }, isSelected, onSelect, verbs }: TermRowProps) {
  const pin = Object.entries(verbs?.pins ?? {}).find(([, tag]) => tag === term)?.[0];
  return (
    <div>
      <button
        type="button"
        data-term
        aria-pressed={isSelected}
        onClick={onSelect}
        onKeyDown={(event) => onKeyDown(event, term, verbs)}
        className="flex min-h-8 w-full cursor-pointer items-baseline gap-2 px-2 py-1 text-left text-sm -outline-offset-2! hover:bg-raised aria-pressed:bg-accent aria-pressed:text-on-accent pointer-coarse:min-h-11"
      >
        <span className="min-w-0 grow wrap-anywhere">{term}</span>
        {pin !== undefined && (
          <kbd title={`Pinned to the key ${pin}`} className="rounded border border-current px-1 font-sans text-xs">
            {pin}
          </kbd>
        )}
        <span className="tabular-nums">{numberOf(captions.length)}</span>
      </button>
      {isSelected && verbs !== undefined && <Verbs {...verbs} tag={term} pin={pin} />}
    </div>
  );
}

function onKeyDown(event: KeyboardEvent<HTMLButtonElement>, tag: string, verbs: TagVerbs | undefined): void {
  const name = keyNameOf(event.nativeEvent, 'tags');
  if (name === undefined || (verbs === undefined && name !== 'tagMove')) return;
  if (name === 'tagMove') moveFocus(event.currentTarget, event.key === 'ArrowDown' ? 1 : -1);
  else if (name === 'tagRename') verbs?.onRename(tag);
  else if (name === 'tagRemove') verbs?.onRemove(tag);
  else if (name === 'tagAdd') verbs?.onAdd(tag);
  else if (name === 'tagPin') verbs?.onPin(event.key, tag);
  event.preventDefault();
}

function moveFocus(from: HTMLElement, step: number): void {
  const rows = [...(from.closest('ul')?.querySelectorAll<HTMLElement>('[data-term]') ?? [])];
  rows[rows.indexOf(from) + step]?.focus();
}

function Verbs(props: TagVerbs & { readonly tag: string; readonly pin: string | undefined }) {
  const { tag, pin, pins, selected, onRename, onRemove, onAdd, onDecide, onPin } = props;
  const key = pin ?? KEY_TABLE.tagPin.keys.find((each) => pins[each] === undefined);
  const verbs: (readonly [words: string, title: string, act: (tag: string) => void] | false)[] = [
    ['Rename', withKey('Rename or merge', 'tagRename'), onRename],
    ['Remove', withKey('Remove from all captions', 'tagRemove'), onRemove],
    selected > 0 && [`Add to ${numberOf(selected)} selected`, withKey('Add to the selected pairs', 'tagAdd'), onAdd],
    ['Decide one by one', 'Shows one picture after another: Y if it has the tag, N if not', onDecide],
    key !== undefined && [
      pin === undefined ? `Pin to key ${key}` : `Unpin from key ${pin}`,
      'The key adds or removes the tag',
      () => onPin(key, tag),
    ],
  ];
  return (
    <div className="flex flex-wrap gap-x-3 px-2 py-1">
      {verbs.map(
        (verb) =>
          verb && (
            <button
              // Its words may change while it has the focus.
              key={verb[1]}
              type="button"
              title={verb[1]}
              onClick={() => verb[2](tag)}
              className="cursor-pointer text-link pointer-coarse:min-h-11"
            >
              {verb[0]}
            </button>
          ),
      )}
    </div>
  );
}
