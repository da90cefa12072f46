import {
  type KeyboardEvent,
  type Ref,
  useEffect,
  useImperativeHandle,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from 'react';
import { useKeys } from '../keys.js';
import type { LinkedDataset } from '../live/counterparts.js';
import type { Pair } from '../live/pairs.js';
import { useCardGrid } from '../ui/card-grid.js';
import { CARD_LAYOUTS, type CardActions, type CardSize, PairCard, UNCAPTIONED_HEIGHT_REM } from './pair-card.js';

/** The height of the bars that stay above the grid, with the gap below them. */
const BARS_REM = 6.75;

/** What the field of a caption grows by, below its card. */
const GROWTH_REM = 7;

export interface PairGridHandle {
  /** Scrolls a card into view, and focuses it. */
  readonly show: (stem: string) => void;
  /** Scrolls a card into view with room for its caption, and makes it the current one. */
  readonly reveal: (stem: string) => void;
}

interface PairGridProps extends CardActions {
  readonly datasetId: string;
  readonly size: CardSize;
  /** Whether the trainer reads captions of this dataset. */
  readonly hasCaptions: boolean;
  readonly linked: readonly LinkedDataset[];
  readonly pairs: readonly Pair[];
  /** Pairs that no longer match the filter. */
  readonly done: ReadonlySet<string>;
  readonly selected: ReadonlySet<string>;
  /** Pairs for which a model proposes another caption. */
  readonly proposed: ReadonlySet<string>;
  /** The texts that a search has found, by stem. */
  readonly marks: (stem: string) => readonly string[];
  /** The card that a link leads to: centred and focused as soon as it exists. */
  readonly target: string | undefined;
  /** Pairs that are being deleted. */
  readonly deleting: ReadonlySet<string>;
  /** The card that has the focus, or had it last. */
  readonly current: string | undefined;
  readonly onCurrent: (stem: string | undefined) => void;
  /** Selects the pairs between two. */
  readonly onSelectRange: (from: string, to: string) => void;
  readonly onWrite: (stem: string) => void;
  readonly handle: Ref<PairGridHandle>;
}

/** A grid of cards with keyboard navigation. Renders only the cards in and near the viewport. */
export function PairGrid(props: PairGridProps) {
  const { datasetId, size, hasCaptions, linked, pairs, done, selected, proposed, target, deleting, current } = props;
  const { onCurrent, handle, onOpen, onSelect, onSelectRange, onWrite } = props;
  const { gapRem, leastWidthRem, heightRem: fullHeightRem } = CARD_LAYOUTS[size];
  const heightRem = size === 'M' && !hasCaptions ? UNCAPTIONED_HEIGHT_REM : fullHeightRem;
  const rowRem = heightRem + gapRem;
  const list = useRef<HTMLUListElement>(null);
  const indexes = useMemo(() => new Map(pairs.map(({ stem }, index) => [stem, index])), [pairs]);
  const index = useCurrentIndex({ pairs, indexes, current, onCurrent, list });
  // The focused card stays rendered when it scrolls out of view, so that the user can continue to type in its caption.
  const grid = useCardGrid(list, { count: pairs.length, heightRem, alwaysRendered: index, gapRem, leastWidthRem });
  const { isLaidOut, columns, rem, top, cells, height } = grid;

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
  const scrollTo = (stem: string, roomRem: number) => {
    const { start, end } = rowOf(stem);
    const above = start - BARS_REM * rem;
    const below = end + roomRem * rem - window.innerHeight;
    if (above < window.scrollY) window.scrollTo({ top: above });
    else if (below > window.scrollY) window.scrollTo({ top: below });
  };
  const show = (stem: string) => {
    scrollTo(stem, gapRem);
    focus(stem);
  };
  const reveal = (stem: string) => {
    scrollTo(stem, size === 'S' ? gapRem : GROWTH_REM);
    onCurrent(stem);
  };
  useImperativeHandle(handle, () => ({ show, reveal }));

  const isTargetShown = isLaidOut && target !== undefined && indexes.has(target);
  // After the layout effect of a viewer that closes, which shows the pair that it had.
  // biome-ignore lint/correctness/useExhaustiveDependencies: scrolls once, even if the card moves later
  useEffect(() => {
    if (!isTargetShown) return;
    const { start, end } = rowOf(target);
    window.scrollTo({ top: (start + end - window.innerHeight) / 2 });
    focus(target);
  }, [isTargetShown, target]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the current card stays in view when the cards change their size
  useLayoutEffect(() => {
    if (current !== undefined && indexes.has(current)) scrollTo(current, gapRem);
  }, [rowRem, columns]);

  // The card with the focus stays where it is on the screen while files arrive before it.
  const place = useRef<{ readonly stem: string; readonly start: number }>(undefined);
  useLayoutEffect(() => {
    const before = place.current;
    const isShown = current !== undefined && indexes.has(current);
    place.current = isShown ? { stem: current, start: rowOf(current).start } : undefined;
    if (before === undefined || before.stem !== place.current?.stem || before.start === place.current.start) return;
    if (list.current?.contains(document.activeElement)) window.scrollBy(0, place.current.start - before.start);
  });

  const at = pairs[index]?.stem;
  const move = (event: globalThis.KeyboardEvent) => {
    if (at === undefined || isElsewhere(event, list.current)) return false;
    const rows = Math.max(1, Math.floor((window.innerHeight - BARS_REM * rem) / (rowRem * rem)));
    const to = indexAfterKey(event.key, index, { count: pairs.length, columns, rows });
    if (to === undefined) return false;
    if (event.shiftKey) onSelectRange(at, pairs[to]!.stem);
    show(pairs[to]!.stem);
  };
  const act =
    (action: (stem: string, event: globalThis.KeyboardEvent) => void) => (event: globalThis.KeyboardEvent) => {
      if (at === undefined || isElsewhere(event, list.current)) return false;
      action(at, event);
    };
  useKeys({
    move,
    extend: move,
    toggle: act(onSelect),
    extendTo: act(onSelect),
    open: act((stem) => onOpen(stem)),
    write: act(onWrite),
  });
  return (
    <ul
      ref={list}
      // biome-ignore lint/a11y/noRedundantRoles: Safari drops the list role from a list without markers
      role="list"
      aria-label="Pairs"
      // Firefox clicks a button when the space key is released.
      onKeyUp={(event: KeyboardEvent) => event.key === ' ' && !hasOwnKeys(event) && event.preventDefault()}
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
          <li
            key={pair.stem}
            aria-setsize={pairs.length}
            aria-posinset={index + 1}
            className="absolute focus-within:z-10 has-[[role=alert]]:z-10"
            style={style}
          >
            <PairCard
              {...{ datasetId, pair, size, linked, onOpen, onSelect }}
              hasCaption={hasCaptions}
              marks={props.marks(pair.stem)}
              isSelected={selected.has(pair.stem)}
              isDone={done.has(pair.stem)}
              hasProposal={proposed.has(pair.stem)}
              isTarget={pair.stem === target}
              isDeleting={deleting.has(pair.stem)}
              isCurrent={pair.stem === at}
            />
          </li>
        );
      })}
    </ul>
  );
}

/** Whether the focused element handles the key by itself: a caption, and a button for Enter and the space key. */
function hasOwnKeys({ target, key }: Pick<globalThis.KeyboardEvent, 'target' | 'key'>): boolean {
  if (!(target instanceof Element)) return false;
  const isClick = key === 'Enter' || key === ' ';
  return target.closest(isClick ? '[data-caption], [data-compares]' : '[data-caption]') !== null;
}

/** Whether a key is for an element outside of the grid, such as a button or a list that scrolls. A verb of the palette has none. */
function isElsewhere(event: globalThis.KeyboardEvent, list: HTMLElement | null): boolean {
  const { target } = event;
  if (target === null) return false;
  if (!(target instanceof Element) || hasOwnKeys(event)) return true;
  return !target.matches('body, main') && list?.contains(target) !== true;
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

/** The index that a key moves to in a grid: the same index at an edge, `undefined` for other keys. */
function indexAfterKey(
  key: string,
  index: number,
  { count, columns, rows }: { count: number; columns: number; rows: number },
): number | undefined {
  const last = count - 1;
  const isInLastRow = Math.floor(index / columns) === Math.floor(last / columns);
  const targets: Readonly<Record<string, number>> = {
    ArrowLeft: index - 1,
    ArrowRight: index + 1,
    ArrowUp: index < columns ? index : index - columns,
    ArrowDown: isInLastRow ? index : index + columns,
    PageUp: index - rows * columns,
    PageDown: index + rows * columns,
    Home: 0,
    End: last,
  };
  const to = targets[key];
  return to === undefined ? undefined : Math.min(Math.max(to, 0), last);
}
