import { Search } from 'lucide-react';
import { memo, useDeferredValue, useMemo, useState } from 'react';
import { countOf, foldCase } from '../../ui/format.js';
import { LongList } from '../../ui/long-list.js';
import { Choices, Panel } from '../../ui/panel.js';
import { NearTags } from './near-tags.js';
import { type TagEdit, TagEditor } from './tag-editor.js';
import { TermRow, type TagVerbs } from './term-row.js';
import type { TermKind } from './terms.js';
import type { TermCounts } from './use-terms.js';

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
  const [edit, setEdit] = useState<TagEdit>();
  const begin = (term: string, isRemoval: boolean) => setEdit({ term, to: term, isRemoval, isOffer: false });
  const tagVerbs = verbs &&
    kind === 'tag' && {
      ...verbs,
      onRename: (tag: string) => begin(tag, false),
      onRemove: (tag: string) => begin(tag, true),
    };
  const editor = edit !== undefined && counts !== undefined && (
    <TagEditor
      key={`${edit.term} ${edit.isRemoval}`}
      {...{ datasetId, counts, edit }}
      onEdit={setEdit}
      onClose={() => setEdit(undefined)}
      onDone={(from, to) => {
        setEdit(undefined);
        onRenamed(from, to);
      }}
    />
  );
  return (
    <Panel
      title={kind === 'tag' ? 'Tags' : 'Words'}
      aside={
        <Choices
          label="Count"
          isLabelHidden
          options={[
            { value: 'tag', label: 'Tags' },
            { value: 'word', label: 'Words' },
          ]}
          value={kind}
          onChange={onKind}
        />
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
          {tagVerbs && <NearTags terms={counts.terms} edit={edit} onEdit={setEdit} editor={edit?.isOffer && editor} />}
          <LongList label={kind === 'tag' ? 'Tags' : 'Words'} items={shown}>
            {(term) =>
              editor && !edit?.isOffer && edit?.term === term.term ? (
                editor
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
