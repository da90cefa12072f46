import { type KeyboardEvent, type Ref, useImperativeHandle, useLayoutEffect, useMemo, useRef, useState } from 'react';
import type { LinkedDataset } from '../live/counterparts.js';
import type { Pair } from '../live/pairs.js';
import { useCardGrid } from '../ui/card-grid.js';
import { PAIR_CARD_HEIGHT_REM, type CardActions, PairCard, UNCAPTIONED_CARD_HEIGHT_REM } from './pair-card.js';
import { indexAfterKey } from './grid-keys.js';

const GAP_REM = 1;
const LEAST_WIDTH_REM = 15;
/** The height of the sticky bar above the grid. */
const BAR_REM = 3.5;

export interface PairGridHandle {
  /** Scrolls a card into view, and focuses it. */
  readonly show: (stem: string) => void;
}

interface PairGridProps extends CardActions {
  readonly datasetId: string;
  /** Whether the trainer reads captions of this dataset. */
  readonly hasCaptions: boolean;
  readonly linked: readonly LinkedDataset[];
  readonly pairs: readonly Pair[];
  readonly selected: ReadonlySet<string>;
  /** The card that a link leads to: centred and focused as soon as it exists. */
  readonly target: string | undefined;
  /** Pairs that are being deleted. */
  readonly deleting: ReadonlySet<string>;
  /** The card that has the focus, or had it last. */
  readonly current: string | undefined;
  readonly onCurrent: (stem: string | undefined) => void;
  readonly handle: Ref<PairGridHandle>;
}

/** A grid of cards with keyboard navigation. Renders only the cards in and near the viewport. */
export function PairGrid(props: PairGridProps) {
  const {
    datasetId,
    hasCaptions,
    linked,
    pairs,
    selected,
    target,
    deleting,
    current,
    onCurrent,
    handle,
    onOpen,
    onSelect,
  } = props;
  const heightRem = hasCaptions ? PAIR_CARD_HEIGHT_REM : UNCAPTIONED_CARD_HEIGHT_REM;
  const rowRem = heightRem + GAP_REM;
  const list = useRef<HTMLUListElement>(null);
  const indexes = useMemo(() => new Map(pairs.map(({ stem }, index) => [stem, index])), [pairs]);
  const index = useCurrentIndex({ pairs, indexes, current, onCurrent, list });
  // The focused card stays rendered when it scrolls out of view, so that the user can continue to type in its caption.
  const { isLaidOut, columns, rem, top, cells, height } = useCardGrid(list, {
    count: pairs.length,
    heightRem,
    alwaysRendered: index,
    gapRem: GAP_REM,
    leastWidthRem: LEAST_WIDTH_REM,
  });

  // A card that is not rendered yet is focused once it is.
  const [toFocus, setToFocus] = useState<{ readonly stem: string }>();
  useLayoutEffect(() => {
    if (toFocus === undefined) return;
    const card = list.current?.querySelector(`[data-stem="${CSS.escape(toFocus.stem)}"]`);
    card?.querySelector<HTMLElement>('[data-opens]')?.focus({ preventScroll: true });
  }, [toFocus]);
  const focus = (stem: string) => {
    onCurrent(stem);
    setToFocus({ stem });
  };
  const rowOf = (stem: string) => {
    const start = top + Math.floor((indexes.get(stem) ?? 0) / columns) * rowRem * rem;
    return { start, end: start + heightRem * rem };
  };
  const show = (stem: string) => {
    const { start, end } = rowOf(stem);
    const above = start - BAR_REM * rem;
    const below = end + GAP_REM * rem - window.innerHeight;
    if (above < window.scrollY) window.scrollTo({ top: above });
    else if (below > window.scrollY) window.scrollTo({ top: below });
    focus(stem);
  };
  useImperativeHandle(handle, () => ({ show }));

  const isTargetShown = isLaidOut && target !== undefined && indexes.has(target);
  // biome-ignore lint/correctness/useExhaustiveDependencies: scrolls once, even if the card moves later
  useLayoutEffect(() => {
    if (!isTargetShown) return;
    const { start, end } = rowOf(target);
    window.scrollTo({ top: (start + end - window.innerHeight) / 2 });
    focus(target);
  }, [isTargetShown, target]);

  const onKeyDown = (event: KeyboardEvent) => {
    if (hasOwnKeys(event) || event.ctrlKey || event.metaKey || event.altKey) return;
    const stem = pairs[index]?.stem;
    if (stem === undefined) return;
    const rows = Math.max(1, Math.floor(window.innerHeight / (rowRem * rem)));
    const to = indexAfterKey(event.key, index, { count: pairs.length, columns, rows });
    if (to !== undefined) show(pairs[to]!.stem);
    else if (event.key === ' ') onSelect(stem, event);
    else if (event.key === 'Enter') onOpen(stem);
    else return;
    event.preventDefault();
  };
  const currentStem = pairs[index]?.stem;
  return (
    <ul
      ref={list}
      // biome-ignore lint/a11y/noRedundantRoles: Safari drops the list role from a list without markers
      role="list"
      aria-label="Pairs"
      onKeyDown={onKeyDown}
      // Firefox clicks a button when the space key is released.
      onKeyUp={(event) => event.key === ' ' && !hasOwnKeys(event) && event.preventDefault()}
      onFocus={({ target }) => {
        const stem = target.closest<HTMLElement>('[data-stem]')?.dataset.stem;
        if (stem !== undefined && stem !== current) onCurrent(stem);
      }}
      className="relative"
      style={{ height }}
    >
      {cells.map(({ index, style }) => {
        const pair = pairs[index]!;
        return (
          <li key={pair.stem} aria-setsize={pairs.length} aria-posinset={index + 1} className="absolute" style={style}>
            <PairCard
              datasetId={datasetId}
              pair={pair}
              hasCaption={hasCaptions}
              linked={linked}
              isSelected={selected.has(pair.stem)}
              isTarget={pair.stem === target}
              isDeleting={deleting.has(pair.stem)}
              isCurrent={pair.stem === currentStem}
              onOpen={onOpen}
              onSelect={onSelect}
            />
          </li>
        );
      })}
    </ul>
  );
}

/** Whether the focused element handles the key by itself: a caption, and a button for Enter and the space key. */
function hasOwnKeys({ target, key }: KeyboardEvent): boolean {
  if (!(target instanceof Element)) return false;
  const isClick = key === 'Enter' || key === ' ';
  return target.closest(isClick ? '[data-caption], [data-compares]' : '[data-caption]') !== null;
}

interface CurrentCard extends Pick<PairGridProps, 'pairs' | 'current' | 'onCurrent'> {
  readonly indexes: ReadonlyMap<string, number>;
  readonly list: { readonly current: HTMLElement | null };
}

/** The index of the current card. If that card is deleted, the card that takes its position gets the focus. */
function useCurrentIndex({ pairs, indexes, current, onCurrent, list }: CurrentCard): number {
  const lastIndex = useRef(0);
  const known = current === undefined ? undefined : indexes.get(current);
  const index = known ?? Math.max(0, Math.min(lastIndex.current, pairs.length - 1));
  const successor = pairs[index]?.stem;
  useLayoutEffect(() => {
    lastIndex.current = index;
    if (current === undefined || known !== undefined) return;
    onCurrent(successor);
    // Gone to the page as a whole, with a button that left before the card did; see keep-focus.ts.
    const isLost = document.activeElement?.matches('body, main') ?? true;
    if (!isLost || successor === undefined) return;
    const card = list.current?.querySelector(`[data-stem="${CSS.escape(successor)}"] [data-opens]`);
    if (card instanceof HTMLElement) card.focus({ preventScroll: true });
  }, [index, known, current, successor, onCurrent, list]);
  return index;
}
