import { TriangleAlert } from 'lucide-react';
import { type FocusEvent, type MouseEvent, memo, useState } from 'react';
import type { LinkSlot } from '../../src/dataset/dataset.js';
import { CaptionField } from '../captions/editing/caption-field.js';
import { counterpartsOf, type LinkedDataset } from '../live/counterparts.js';
import type { Pair } from '../live/pairs.js';
import { useIsShared } from '../session/client.js';
import { CaptionBadge, UnusedCaptionBadge } from './caption-badge.js';
import { Counterparts } from './counterparts.js';
import { Placeholder, Preview } from './media.js';
import { mediaFactsOf } from './media-facts.js';

/** Fixed heights, so that the grid can lay out ten thousand cards and render only a few. */
export const PAIR_CARD_HEIGHT_REM = 22;
export const UNCAPTIONED_CARD_HEIGHT_REM = 14.75;

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
  /** Whether the trainer reads captions of this dataset. */
  readonly hasCaption: boolean;
  readonly linked: readonly LinkedDataset[];
  readonly isSelected: boolean;
  /** A link leads to this card. */
  readonly isTarget: boolean;
  readonly isDeleting: boolean;
  /** The Tab key reaches only this card of the grid (a roving tabindex). */
  readonly isCurrent: boolean;
}

/** A pair: its media, beside them its controls and its mask, above its caption. */
export const PairCard = memo(function PairCard(props: PairCardProps) {
  const { datasetId, pair, hasCaption, linked, isSelected, isTarget, isDeleting, isCurrent, onOpen, onSelect } = props;
  const { stem, media } = pair;
  const isShared = useIsShared();
  const [isHovered, setHovered] = useState(false);
  const [isFocused, setFocused] = useState(false);
  const [first] = media;
  const names = (media.length > 0 ? media : pair.files).map(({ filename }) => filename).join(', ');
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
      className={`relative flex h-full flex-col overflow-hidden rounded-xl border bg-panel outline-offset-3 outline-accent has-[[data-opens]:focus-visible]:outline-3 ${border} ${isDeleting ? 'opacity-40' : ''}`}
    >
      <div className="flex h-44 shrink-0 gap-px">
        <button
          type="button"
          data-opens
          tabIndex={tabIndex}
          onClick={(event) => {
            if (event.shiftKey || event.ctrlKey || event.metaKey) onSelect(stem, event);
            else onOpen(stem);
          }}
          className="h-44 min-w-0 grow cursor-pointer overflow-hidden bg-raised outline-none! select-none"
        >
          <span className="sr-only">Open {names}</span>
          <span aria-hidden className="flex size-full gap-px">
            {first === undefined && <Placeholder file={undefined} />}
            {media.map((file) => (
              <span key={file.filename} className="size-full min-w-0">
                <Preview datasetId={datasetId} file={file} isPlaying={isHovered || isFocused} />
              </span>
            ))}
          </span>
        </button>
        {linked.length > 0 && media.length > 0 && (
          <Counterparts
            counterparts={counterpartsOf(linked, pair)}
            stem={stem}
            tabIndex={tabIndex}
            isPlaying={isHovered || isFocused}
            onCompare={(slot) => onOpen(stem, slot)}
          />
        )}
      </div>
      {!isShared && (
        <label className="absolute top-0 left-0 flex size-10 cursor-pointer items-center justify-center">
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
      <Warnings pair={pair} />
      <div className="flex min-h-0 grow flex-col gap-1 p-2">
        <div className="select-none">
          <p className="truncate text-sm font-medium" title={names}>
            {names}
          </p>
          <p className="flex items-center gap-2 overflow-hidden text-xs whitespace-nowrap text-muted">
            <span className="truncate">
              {media.length > 1 ? `${media.length} files share this caption` : first && mediaFactsOf(first)}
            </span>
            {hasCaption ? <CaptionBadge pair={pair} /> : <UnusedCaptionBadge pair={pair} />}
          </p>
        </div>
        {hasCaption && (
          <div data-caption className="min-h-0 grow overflow-y-auto">
            <CaptionField datasetId={datasetId} pair={pair} />
          </div>
        )}
      </div>
    </article>
  );
});

/** A warning sign with the messages of all problems, as a tooltip and for screen readers. */
function Warnings({ pair: { problems } }: { pair: Pair }) {
  if (problems.length === 0) return null;
  const messages = problems.map(({ message }) => message).join('\n');
  return (
    <span
      role="img"
      aria-label={messages}
      title={messages}
      className="absolute top-1.5 right-1.5 rounded-full bg-warn-soft p-1.5 text-warn"
    >
      <TriangleAlert size={16} aria-hidden />
    </span>
  );
}
