import { type KeyboardEvent, type Ref, useImperativeHandle, useLayoutEffect, useMemo, useRef, useState } from 'react';
import type { Pair } from '../live/pairs.js';
import { useCardGrid } from '../ui/card-grid.js';
import { PAIR_CARD_HEIGHT_REM, type CardActions, PairCard } from './pair-card.js';
import { indexAfterKey } from './grid-keys.js';

const GAP_REM = 1;
const LEAST_WIDTH_REM = 15;
const ROW_REM = PAIR_CARD_HEIGHT_REM + GAP_REM;
/** Of the bar that stays above the grid. */
const BAR_REM = 3.5;

export interface PairGridHandle {
  /** Brings a card into sight, and gives it the keyboard. */
  readonly show: (stem: string) => void;
}

interface PairGridProps extends CardActions {
  readonly datasetId: string;
  readonly pairs: readonly Pair[];
  readonly selected: ReadonlySet<string>;
  /** The card that somebody was sent to: it comes into the middle once it is there, and gets the keyboard. */
  readonly target: string | undefined;
  readonly deleting: ReadonlySet<string>;
  /** The card that has the keyboard, or had it last. */
  readonly current: string | undefined;
  readonly onCurrent: (stem: string | undefined) => void;
  readonly handle: Ref<PairGridHandle>;
}

/** The cards near what is seen, of as many pairs as there are, and a way through them by keyboard. */
export function PairGrid(props: PairGridProps) {
  const { datasetId, pairs, selected, target, deleting, current, onCurrent, handle, onOpen, onChoose } = props;
  const list = useRef<HTMLUListElement>(null);
  const indexes = useMemo(() => new Map(pairs.map(({ stem }, index) => [stem, index])), [pairs]);
  const index = useCurrentPlace({ pairs, indexes, current, onCurrent, list });
  // The card with the keyboard is there wherever it is scrolled to, and with it a caption that somebody is writing.
  const { isLaidOut, columns, rem, top, cells, height } = useCardGrid(list, {
    count: pairs.length,
    heightRem: PAIR_CARD_HEIGHT_REM,
    alwaysDrawn: index,
    gapRem: GAP_REM,
    leastWidthRem: LEAST_WIDTH_REM,
  });

  // A card that is still to be drawn is given the keyboard once it is.
  const [awaited, setAwaited] = useState<{ readonly stem: string }>();
  useLayoutEffect(() => {
    if (awaited === undefined) return;
    const card = list.current?.querySelector(`[data-stem="${CSS.escape(awaited.stem)}"]`);
    card?.querySelector<HTMLElement>('[data-opens]')?.focus({ preventScroll: true });
  }, [awaited]);
  const focus = (stem: string) => {
    onCurrent(stem);
    setAwaited({ stem });
  };
  const rowOf = (stem: string) => {
    const start = top + Math.floor((indexes.get(stem) ?? 0) / columns) * ROW_REM * rem;
    return { start, end: start + PAIR_CARD_HEIGHT_REM * rem };
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
  // biome-ignore lint/correctness/useExhaustiveDependencies: once, wherever it moves to later
  useLayoutEffect(() => {
    if (!isTargetShown) return;
    const { start, end } = rowOf(target);
    window.scrollTo({ top: (start + end - window.innerHeight) / 2 });
    focus(target);
  }, [isTargetShown, target]);

  const onKeyDown = (event: KeyboardEvent) => {
    if (isInCaption(event.target) || event.ctrlKey || event.metaKey || event.altKey) return;
    const stem = pairs[index]?.stem;
    if (stem === undefined) return;
    const rows = Math.max(1, Math.floor(window.innerHeight / (ROW_REM * rem)));
    const to = indexAfterKey(event.key, index, { count: pairs.length, columns, rows });
    if (to !== undefined) show(pairs[to]!.stem);
    else if (event.key === ' ') onChoose(stem, event);
    else if (event.key === 'Enter') onOpen(stem);
    else return;
    event.preventDefault();
  };
  const currentStem = pairs[index]?.stem;
  return (
    <ul
      ref={list}
      // biome-ignore lint/a11y/noRedundantRoles: without markers, Safari takes it for no list any more
      role="list"
      aria-label="Pairs"
      onKeyDown={onKeyDown}
      // Firefox clicks when the key comes up again.
      onKeyUp={(event) => event.key === ' ' && !isInCaption(event.target) && event.preventDefault()}
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
              isSelected={selected.has(pair.stem)}
              isTarget={pair.stem === target}
              isDeleting={deleting.has(pair.stem)}
              isCurrent={pair.stem === currentStem}
              onOpen={onOpen}
              onChoose={onChoose}
            />
          </li>
        );
      })}
    </ul>
  );
}

/** There, keys are for the caption. */
function isInCaption(target: EventTarget): boolean {
  return target instanceof Element && target.closest('[data-caption]') !== null;
}

interface CurrentPlace extends Pick<PairGridProps, 'pairs' | 'current' | 'onCurrent'> {
  readonly indexes: ReadonlyMap<string, number>;
  readonly list: { readonly current: HTMLElement | null };
}

/** Where the current card is; whoever has taken its index, keyboard and all, once it is gone. */
function useCurrentPlace({ pairs, indexes, current, onCurrent, list }: CurrentPlace): number {
  const lastPlace = useRef(0);
  const known = current === undefined ? undefined : indexes.get(current);
  const index = known ?? Math.max(0, Math.min(lastPlace.current, pairs.length - 1));
  const successor = pairs[index]?.stem;
  useLayoutEffect(() => {
    lastPlace.current = index;
    if (current === undefined || known !== undefined) return;
    onCurrent(successor);
    const isLost = document.activeElement === null || document.activeElement === document.body;
    if (!isLost || successor === undefined) return;
    const card = list.current?.querySelector(`[data-stem="${CSS.escape(successor)}"] [data-opens]`);
    if (card instanceof HTMLElement) card.focus({ preventScroll: true });
  }, [index, known, current, successor, onCurrent, list]);
  return index;
}
