import { defaultRangeExtractor, type Range, useWindowVirtualizer } from '@tanstack/react-virtual';
import { useLayoutEffect, useState } from 'react';

/** Rows that are rendered above and below the viewport. */
const OVERSCAN_ROWS = 2;

interface CardGridOptions {
  readonly count: number;
  readonly gapRem: number;
  readonly leastWidthRem: number;
  /** The fixed height of a card, so that rows can be laid out without being rendered. */
  readonly heightRem: number;
  /** The index of a card that stays rendered when it scrolls out of view. */
  readonly alwaysRendered?: number;
}

/** Lays out cards in rows that scroll with the page. Returns only the cards in and near the viewport. */
export function useCardGrid(list: { readonly current: HTMLElement | null }, options: CardGridOptions) {
  const { count, heightRem, alwaysRendered, gapRem } = options;
  const layout = useGridLayout(list, options);
  const { columns, rem, top } = layout ?? { columns: 1, rem: 16, top: 0 };
  const rowPixels = (heightRem + gapRem) * rem;
  const fixedRow = alwaysRendered === undefined ? undefined : Math.floor(alwaysRendered / columns);
  const virtual = useWindowVirtualizer({
    count: layout === undefined ? 0 : Math.ceil(count / columns),
    estimateSize: () => rowPixels,
    overscan: OVERSCAN_ROWS,
    scrollMargin: top,
    rangeExtractor: (range: Range) => {
      const rows = defaultRangeExtractor(range);
      return fixedRow === undefined || rows.includes(fixedRow) || fixedRow >= range.count
        ? rows
        : [...rows, fixedRow].sort((a, b) => a - b);
    },
  });
  useLayoutEffect(() => {
    // The virtualizer caches sizes, which change with the size of the cards and the text size of the browser.
    if (rowPixels > 0) virtual.measure();
  }, [virtual, rowPixels]);
  // The rendered cards.
  const cells = virtual.getVirtualItems().flatMap(({ index: row, start }) =>
    Array.from({ length: Math.min(columns, count - row * columns) }, (_, column) => ({
      index: row * columns + column,
      style: {
        top: start - top,
        left: `calc((100% + ${gapRem}rem) * ${column / columns})`,
        width: `calc((100% + ${gapRem}rem) / ${columns} - ${gapRem}rem)`,
        height: `${heightRem}rem`,
      },
    })),
  );
  const isLaidOut = layout !== undefined;
  return { isLaidOut, columns, rem, top, cells, height: virtual.getTotalSize(), isScrolling: virtual.isScrolling };
}

/**
 * Measures how many columns of cards fit, the pixels per rem, which depend on the text size of the browser, and the distance of
 * the grid from the top of the page in pixels. `undefined` before the first measurement.
 */
function useGridLayout(
  grid: { readonly current: HTMLElement | null },
  { gapRem, leastWidthRem }: Pick<CardGridOptions, 'gapRem' | 'leastWidthRem'>,
) {
  const [layout, setLayout] = useState<{ columns: number; rem: number; top: number }>();
  useLayoutEffect(() => {
    const element = grid.current;
    if (element === null) return;
    const measure = () => {
      const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
      const width = element.clientWidth / rem;
      const columns = Math.max(1, Math.floor((width + gapRem) / (leastWidthRem + gapRem)));
      const top = element.getBoundingClientRect().top + window.scrollY;
      setLayout((known) =>
        known?.columns === columns && known.rem === rem && known.top === top ? known : { columns, rem, top },
      );
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    observer.observe(document.body);
    return () => observer.disconnect();
  }, [grid, gapRem, leastWidthRem]);
  return layout;
}
