import { ChevronRight } from 'lucide-react';
import { type ReactNode, useMemo } from 'react';
import { countOf, numberOf } from '../../ui/format.js';
import { LongList } from '../../ui/long-list.js';
import { nearTagsAmong } from '../tags/caption-tags.js';
import type { TagEdit } from './tag-editor.js';
import type { Term } from './terms.js';

interface NearTagsProps {
  readonly terms: readonly Term[];
  readonly edit: TagEdit | undefined;
  readonly onEdit: (edit: TagEdit) => void;
  readonly editor: ReactNode;
}

/** Tags that are probably other spellings of a more frequent one, each with an offer to merge it. */
export function NearTags({ terms, edit, onEdit, editor }: NearTagsProps) {
  const near = useMemo(() => nearTagsAmong(terms), [terms]);
  if (near.length === 0) return null;
  return (
    <details className="group/near rounded-lg border border-line text-sm">
      <summary className="flex touch min-h-9 cursor-pointer items-center gap-2 px-2">
        <ChevronRight size={14} className="shrink-0 transition-transform group-open/near:rotate-90" aria-hidden />
        {countOf(near.length, 'near spelling')}
      </summary>
      <LongList label="Near spellings" items={near}>
        {({ from, to }) =>
          edit?.isOffer && edit.term === from.term ? (
            editor
          ) : (
            <button
              type="button"
              onClick={() => onEdit({ term: from.term, to: to.term, isRemoval: false, isOffer: true })}
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
