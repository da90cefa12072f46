import { Check, Sparkles, TriangleAlert } from 'lucide-react';
import { type FocusEvent, memo, type MouseEvent, useState } from 'react';
import { Link } from 'wouter';
import type { LinkSlot } from '../../src/dataset/dataset.js';
import { CaptionField } from '../captions/editing/caption-field.js';
import { type Counterpart, counterpartsOf, type LinkedDataset } from '../live/counterparts.js';
import type { Pair } from '../live/pairs.js';
import { useIsShared } from '../session/client.js';
import { Marked } from '../ui/marks.js';
import { CaptionBadge, UnusedCaptionBadge } from './pair-words.js';
import { Placeholder, Preview } from './media.js';
import { mediaFactsOf } from './media-facts.js';
import { slotWord } from '../live/slot-words.js';

/** The sizes of cards: pictures alone, with three lines or two rows of tags of the caption, and beside the whole caption. */
export const CARD_SIZES = ['S', 'M', 'L'] as const;
export type CardSize = (typeof CARD_SIZES)[number];

/** Fixed heights, so that the grid can lay out ten thousand cards and render only a few. */
export const CARD_LAYOUTS = {
  S: { heightRem: 9.375, gapRem: 0.5, leastWidthRem: 9.375 },
  M: { heightRem: 18.75, gapRem: 1, leastWidthRem: 15 },
  L: { heightRem: 10, gapRem: 0.5, leastWidthRem: Number.POSITIVE_INFINITY },
} as const satisfies Record<CardSize, object>;

/** A card of size M without a caption. */
export const UNCAPTIONED_HEIGHT_REM = 14.25;

/** The modifier keys that were held during a click or key press. */
export type ModifierKeys = Pick<MouseEvent, 'shiftKey' | 'ctrlKey' | 'metaKey'>;

export interface CardActions {
  /** With a slot, compares the target with that control or mask. */
  readonly onOpen: (stem: string, slot?: LinkSlot) => void;
  readonly onSelect: (stem: string, held: ModifierKeys) => void;
}

interface PairCardProps extends CardActions {
  readonly datasetId: string;
  readonly pair: Pair;
  readonly size: CardSize;
  /** Whether the trainer reads captions of this dataset. */
  readonly hasCaption: boolean;
  readonly linked: readonly LinkedDataset[];
  readonly isSelected: boolean;
  /** The pair no longer matches the filter that it is shown for. */
  readonly isDone: boolean;
  /** A model proposes another caption. */
  readonly hasProposal: boolean;
  /** Texts that a search has found. */
  readonly marks: readonly string[];
  /** A link leads to this card. */
  readonly isTarget: boolean;
  readonly isDeleting: boolean;
  /** The Tab key reaches only this card of the grid (a roving tabindex). */
  readonly isCurrent: boolean;
}

/** A pair: its media, beside them its controls and its mask, with its caption as far as the size has room. */
export const PairCard = memo(function PairCard(props: PairCardProps) {
  const { pair, size, linked, isSelected, isTarget, isDeleting, isCurrent } = props;
  const { onOpen, onSelect } = props;
  const { stem } = pair;
  const isShared = useIsShared();
  const [isHovered, setHovered] = useState(false);
  const [isFocused, setFocused] = useState(false);
  const isPlaying = isHovered || isFocused;
  const names = namesOf(pair);
  const tabIndex = isCurrent ? 0 : -1;
  const border = isTarget
    ? 'border-accent ring-4 ring-accent/40'
    : isSelected
      ? 'border-accent ring-2 ring-accent'
      : 'border-line';
  return (
    <article
      data-stem={stem}
      aria-label={names}
      aria-busy={isDeleting}
      onPointerEnter={() => setHovered(true)}
      onPointerLeave={() => setHovered(false)}
      onFocus={() => setFocused(true)}
      onBlur={(event: FocusEvent) => setFocused(event.currentTarget.contains(event.relatedTarget))}
      className={`group/card relative flex h-full rounded-xl border bg-panel outline-offset-3 outline-accent has-[[data-opens]:focus-visible]:outline-3 ${size === 'L' ? '' : 'flex-col'} ${border} ${isDeleting ? 'opacity-40' : ''}`}
    >
      <div className={`flex shrink-0 gap-px overflow-hidden ${PICTURE_STYLES[size]}`}>
        <Pictures {...props} isPlaying={isPlaying} names={names} />
        {size !== 'S' && linked.length > 0 && pair.media.length > 0 && (
          <Counterparts
            counterparts={counterpartsOf(linked, pair)}
            stem={stem}
            tabIndex={tabIndex}
            isPlaying={isPlaying}
            onCompare={(slot) => onOpen(stem, slot)}
          />
        )}
      </div>
      {!isShared && (
        <label
          className={`absolute top-0 left-0 flex size-10 cursor-pointer items-center justify-center ${size === 'S' ? 'not-has-checked:not-group-hover/card:not-group-focus-within/card:pointer-fine:opacity-0' : ''}`}
        >
          <input
            type="checkbox"
            tabIndex={tabIndex}
            checked={isSelected}
            aria-label={`Select ${names}`}
            onChange={(event) => onSelect(stem, event.nativeEvent as globalThis.MouseEvent)}
            className="size-5 cursor-pointer accent-accent"
          />
        </label>
      )}
      <Signs {...props} />
      {size !== 'S' && <Words {...props} names={names} />}
    </article>
  );
});

const PICTURE_STYLES: Record<CardSize, string> = {
  S: 'size-full rounded-xl',
  M: 'h-44 rounded-t-xl',
  L: 'h-full w-36 rounded-l-xl sm:w-60',
};

function namesOf({ media, files }: Pair): string {
  return (media.length > 0 ? media : files).map(({ filename }) => filename).join(', ');
}

function Pictures(props: PairCardProps & { isPlaying: boolean; names: string }) {
  const { datasetId, pair, isCurrent, isPlaying, names, onOpen, onSelect } = props;
  const { stem, media } = pair;
  return (
    <button
      type="button"
      data-opens
      tabIndex={isCurrent ? 0 : -1}
      title={names}
      onClick={(event) => {
        if (event.shiftKey || event.ctrlKey || event.metaKey) onSelect(stem, event);
        else onOpen(stem);
      }}
      className="h-full min-w-0 grow cursor-pointer overflow-hidden bg-raised outline-none! select-none"
    >
      <span className="sr-only">Open {names}</span>
      <span aria-hidden className="flex size-full gap-px">
        {media.length === 0 && <Placeholder file={undefined} />}
        {media.map((file) => (
          <span key={file.filename} className="size-full min-w-0">
            <Preview datasetId={datasetId} file={file} isPlaying={isPlaying} />
          </span>
        ))}
      </span>
    </button>
  );
}

/** The field of a caption that is written, or could not be saved, covers what is below its card. */
const GROWN =
  'has-[textarea:focus,[role=alert]]:h-[max(100%,9.5rem)] has-[textarea:focus,[role=alert]]:bg-panel has-[textarea:focus,[role=alert]]:shadow-lg has-[textarea:focus,[role=alert]]:ring-1 has-[textarea:focus,[role=alert]]:ring-line';

interface WordsProps extends Pick<PairCardProps, 'datasetId' | 'pair' | 'size' | 'hasCaption' | 'marks'> {
  readonly names: string;
}

/** The name, the facts and the caption, whose field grows over what is below while it is written. */
function Words({ datasetId, pair, size, hasCaption, marks, names }: WordsProps) {
  const { media } = pair;
  const [first] = media;
  return (
    <div className="flex min-h-0 min-w-0 grow flex-col gap-1 p-2">
      <div className={`select-none ${size === 'L' ? 'flex items-baseline gap-3' : ''}`}>
        <p className="truncate text-sm font-medium" title={names}>
          <Marked text={names} marks={marks} />
        </p>
        <p className="flex min-w-0 grow items-center gap-2 overflow-hidden text-xs leading-4 whitespace-nowrap text-muted">
          <span className="truncate">
            {media.length > 1 ? `${media.length} files share this caption` : first && mediaFactsOf(first)}
          </span>
          {hasCaption ? <CaptionBadge pair={pair} /> : <UnusedCaptionBadge pair={pair} />}
        </p>
      </div>
      {hasCaption && (
        <div data-caption className="relative -mx-2 min-h-0 grow">
          <div className={`absolute inset-x-0 top-0 h-full overflow-y-auto rounded-md ${GROWN}`}>
            <CaptionField {...{ datasetId, pair, marks }} />
          </div>
        </div>
      )}
    </div>
  );
}

const SIGN = 'rounded-full p-1.5';

/** Signs over the picture: a tick, and a warning with the messages of all problems; at size S, what is wrong with the caption. */
function Signs({ datasetId, pair, size, hasCaption, isDone, hasProposal }: PairCardProps) {
  const [first] = pair.media;
  const messages = pair.problems.map(({ message }) => message).join('\n');
  return (
    <span className="pointer-events-none absolute top-1.5 right-1.5 flex items-center gap-1 *:pointer-events-auto">
      {size === 'S' && hasCaption && <CaptionBadge pair={pair} />}
      {hasProposal && first !== undefined && (
        <Link
          href={`/datasets/${datasetId}/proposals?at=${encodeURIComponent(first.filename)}`}
          tabIndex={-1}
          aria-label={`Review the proposal for ${first.filename}`}
          title="A model proposes another caption: review it"
          className={`${SIGN} bg-panel text-accent ring-1 ring-line`}
        >
          <Sparkles size={16} aria-hidden />
        </Link>
      )}
      {isDone && (
        <span
          role="img"
          aria-label="Done"
          title="It no longer matches the filter"
          className={`${SIGN} bg-good-soft text-good`}
        >
          <Check size={16} aria-hidden />
        </span>
      )}
      {messages !== '' && (
        <span role="img" aria-label={messages} title={messages} className={`${SIGN} bg-warn-soft text-warn`}>
          <TriangleAlert size={16} aria-hidden />
        </span>
      )}
    </span>
  );
}

interface CounterpartsProps {
  readonly counterparts: readonly Counterpart[];
  /** The stem of the pair. */
  readonly stem: string;
  readonly tabIndex: number;
  readonly isPlaying: boolean;
  readonly onCompare: (slot: LinkSlot) => void;
}

/** The controls and the mask of a pair as small pictures, and an empty frame for each that is missing. */
function Counterparts({ counterparts, stem, ...picture }: CounterpartsProps) {
  const slots = counterparts.map(({ slot }) => slot);
  return (
    <ul aria-label={`Controls and mask of ${stem}`} className="flex h-full w-18 shrink-0 flex-col gap-px bg-raised">
      {counterparts.map((counterpart) => (
        <li key={counterpart.slot} className="relative min-h-0 grow basis-0">
          <SmallPicture {...{ ...picture, counterpart }} word={slotWord(counterpart.slot, slots)} />
        </li>
      ))}
    </ul>
  );
}

interface SmallPictureProps extends Omit<CounterpartsProps, 'counterparts' | 'stem'> {
  readonly counterpart: Counterpart;
  /** `control`, `control 2` or `mask`. */
  readonly word: string;
}

function SmallPicture({ counterpart, word, tabIndex, isPlaying, onCompare }: SmallPictureProps) {
  const { slot, id, name, file, fault, filenames } = counterpart;
  if (file === undefined) {
    if (fault !== 'missing') return null;
    return (
      <span
        title={`${name} has no ${word} of this name`}
        className="flex size-full items-center justify-center border-2 border-dashed border-bad p-1 text-center text-xs font-medium text-bad"
      >
        No {word}
      </span>
    );
  }
  return (
    <>
      <button
        type="button"
        data-compares
        tabIndex={tabIndex}
        aria-label={`Compare with the ${word} ${file.filename}`}
        title={`${word}: ${filenames.join(', ')} of ${name}`}
        onClick={() => onCompare(slot)}
        className="block size-full cursor-pointer overflow-hidden -outline-offset-2"
      >
        <Preview datasetId={id} file={file} isPlaying={isPlaying} />
      </button>
      <span className="pointer-events-none absolute inset-x-0 bottom-0 bg-warn-soft px-1 text-center text-xs font-medium text-warn empty:hidden">
        {fault === 'ambiguous' && `${filenames.length} files`}
        {fault === 'misfit' && 'Wrong size'}
        {fault === 'stretched' && 'Stretched'}
      </span>
    </>
  );
}
