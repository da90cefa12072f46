import { TriangleAlert } from 'lucide-react';
import { type FocusEvent, type MouseEvent, memo, useState } from 'react';
import { CaptionField } from '../captions/editing/caption-field.js';
import { isInCategory, type Pair } from '../live/pairs.js';
import { useIsShared } from '../session/client.js';
import { Placeholder, Preview } from './media.js';
import { mediaFactsOf } from './media-facts.js';

/** A fixed height, so that the grid can lay out ten thousand cards and render only a few. */
export const PAIR_CARD_HEIGHT_REM = 22;

/** The modifier keys that were held during a click or key press. */
export type ModifierKeys = Pick<MouseEvent, 'shiftKey' | 'ctrlKey' | 'metaKey'>;

export interface CardActions {
  readonly onOpen: (stem: string) => void;
  readonly onSelect: (stem: string, held: ModifierKeys) => void;
}

interface PairCardProps extends CardActions {
  readonly datasetId: string;
  readonly pair: Pair;
  readonly isSelected: boolean;
  /** A link leads to this card. */
  readonly isTarget: boolean;
  readonly isDeleting: boolean;
  /** The Tab key reaches only this card of the grid (a roving tabindex). */
  readonly isCurrent: boolean;
}

/** A pair: its media above its caption. */
export const PairCard = memo(function PairCard(props: PairCardProps) {
  const { datasetId, pair, isSelected, isTarget, isDeleting, isCurrent, onOpen, onSelect } = props;
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
      <button
        type="button"
        data-opens
        tabIndex={tabIndex}
        onClick={(event) => {
          if (event.shiftKey || event.ctrlKey || event.metaKey) onSelect(stem, event);
          else onOpen(stem);
        }}
        className="h-44 shrink-0 cursor-pointer overflow-hidden bg-raised outline-none! select-none"
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
            <CaptionBadge pair={pair} />
          </p>
        </div>
        <div data-caption className="min-h-0 grow overflow-y-auto">
          <CaptionField datasetId={datasetId} pair={pair} />
        </div>
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

/** A badge for a missing caption, a blank one, or one without media. */
export function CaptionBadge({ pair }: { pair: Pair }) {
  const style = 'ml-auto shrink-0 rounded-full px-2 py-0.5 text-xs font-medium';
  if (isInCategory(pair, 'missing')) return <span className={`${style} bg-bad-soft text-bad`}>No caption</span>;
  if (isInCategory(pair, 'blank')) return <span className={`${style} bg-warn-soft text-warn`}>Blank caption</span>;
  if (isInCategory(pair, 'orphan')) return <span className={`${style} bg-warn-soft text-warn`}>No media</span>;
  return null;
}
