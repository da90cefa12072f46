import { useMemo } from 'react';
import { isTextCaption } from '../../../src/dataset/media.js';
import type { Pair } from '../../live/pairs.js';
import { useCanWrite } from '../../session/account.js';
import { Marked } from '../../ui/marks.js';
import { Choices } from '../../ui/panel.js';
import { useStored } from '../../ui/use-stored.js';
import { isSentence, retagged, tagKeyOf, tagsIn } from '../tags/caption-tags.js';
import { rewriteCaption } from './drafts.js';

const useTagStyle = () => useStored('trainyard-tags-as', ['chips', 'text'], 'chips');

/** Chooses whether captions with commas are shown as chips, which this browser keeps. */
export function TagStyleChoice() {
  const [style, setStyle] = useTagStyle();
  return <Choices label="Show tags as" options={{ chips: 'Chips', text: 'Text' }} value={style} onChange={setStyle} />;
}

const NO_TAGS: readonly string[] = [];

/** The tags of a caption that is to be shown as chips; none of one that is to be shown as text. */
export function useChips(filename: string, text: string): readonly string[] {
  const [style] = useTagStyle();
  return useMemo(() => {
    const isList = isTextCaption(filename) && /[,，、]/.test(text) && !isSentence(text);
    return isList && style === 'chips' ? tagsIn(text) : NO_TAGS;
  }, [style, filename, text]);
}

interface TagChipsProps {
  readonly datasetId: string;
  readonly pair: Pair;
  readonly tags: readonly string[];
  /** Texts that a search has found. */
  readonly marks: readonly string[];
  /** Begins to write the caption; with a tag, at that tag. */
  readonly onWrite: (tag?: string) => void;
}

/** The tags of a caption over its field, until that has the focus. */
export function TagChips({ datasetId, pair, tags, marks, onWrite }: TagChipsProps) {
  const canWrite = useCanWrite();
  const remove = (tag: string) => rewriteCaption(datasetId, pair, (text) => retagged(text, (each) => each === tag, ''));
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: keys reach the field itself
    // biome-ignore lint/a11y/noStaticElementInteractions: as above
    <div
      dir="auto"
      onClick={() => onWrite()}
      className="absolute inset-0 flex cursor-text flex-wrap content-start gap-x-1 gap-y-0.5 overflow-y-auto rounded-md border border-transparent px-2 py-1 text-xs leading-4.5 pointer-coarse:py-0 group-has-[textarea:focus]/caption:hidden hover:border-line pointer-coarse:text-base"
    >
      {tags.map((tag) => (
        <span key={tag} className="flex max-w-full items-center rounded-full bg-raised">
          {/* biome-ignore lint/a11y/useKeyWithClickEvents: as above */}
          {/* biome-ignore lint/a11y/noStaticElementInteractions: as above */}
          <span
            onClick={(event) => {
              event.stopPropagation();
              onWrite(tag);
            }}
            className={`truncate ps-2 ${canWrite ? '' : 'pe-2'}`}
          >
            <Marked text={tag} marks={marks} />
          </span>
          {canWrite && (
            <button
              type="button"
              tabIndex={-1}
              aria-label={`Remove the tag ${tag}`}
              title="Remove the tag"
              // The focus stays where it is: the button leaves with its tag.
              onMouseDown={(event) => event.preventDefault()}
              onClick={(event) => {
                event.stopPropagation();
                remove(tag);
              }}
              className="min-h-6 min-w-6 shrink-0 cursor-pointer rounded-e-full text-muted hover:text-bad pointer-coarse:min-h-11 pointer-coarse:min-w-11"
            >
              ×
            </button>
          )}
        </span>
      ))}
    </div>
  );
}

/** Where a tag is in a text. */
export function placeOfTag(text: string, tag: string): readonly [start: number, end: number] {
  for (const { 0: part, index } of text.matchAll(/[^,，、\r\n]+/g)) {
    const start = index + part.length - part.trimStart().length;
    if (tagKeyOf(part) === tag) return [start, start + part.trim().length];
  }
  return [text.length, text.length];
}
