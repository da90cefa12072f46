import { defaultRangeExtractor, type Range, useWindowVirtualizer } from '@tanstack/react-virtual';
import { type CSSProperties, useLayoutEffect } from 'react';
import { type CardSizes, useGridLayout } from './grid-layout.js';

const ROWS_BEYOND = 2;

interface CardGridOptions extends CardSizes {
  readonly count: number;
  /** Of one height each, in rem, so that thousands can be laid out without being drawn. */
  readonly heightRem: number;
  /** The place of a card that is drawn wherever it is scrolled to. */
  readonly alwaysDrawn?: number;
}

/** A card that is drawn, and where in the list. */
interface Cell {
  readonly index: number;
  readonly style: CSSProperties;
}

/** The cards near what is seen, of as many as there are, in rows that scroll with the page. */
export function useCardGrid(
  list: { readonly current: HTMLElement | null },
  { count, heightRem, alwaysDrawn, gapRem, leastWidthRem }: CardGridOptions,
) {
  const layout = useGridLayout(list, { gapRem, leastWidthRem });
  const { columns, rem, top } = layout ?? { columns: 1, rem: 16, top: 0 };
  const drawnRow = alwaysDrawn === undefined ? undefined : Math.floor(alwaysDrawn / columns);
  const virtual = useWindowVirtualizer({
    count: layout === undefined ? 0 : Math.ceil(count / columns),
    estimateSize: () => (heightRem + gapRem) * rem,
    overscan: ROWS_BEYOND,
    scrollMargin: top,
    rangeExtractor: (range: Range) => {
      const rows = defaultRangeExtractor(range);
      return drawnRow === undefined || rows.includes(drawnRow) || drawnRow >= range.count
        ? rows
        : [...rows, drawnRow].sort((a, b) => a - b);
    },
  });
  useLayoutEffect(() => {
    // Rows are of a size that was given once, and a person may make the text larger.
    if (rem > 0) virtual.measure();
  }, [virtual, rem]);
  const cells = virtual.getVirtualItems().flatMap(({ index: row, start }) =>
    Array.from(
      { length: Math.min(columns, count - row * columns) },
      (_, column): Cell => ({
        index: row * columns + column,
        style: {
          top: start - top,
          left: `calc((100% + ${gapRem}rem) * ${column / columns})`,
          width: `calc((100% + ${gapRem}rem) / ${columns} - ${gapRem}rem)`,
          height: `${heightRem}rem`,
        },
      }),
    ),
  );
  const isLaidOut = layout !== undefined;
  return { isLaidOut, columns, rem, top, cells, height: virtual.getTotalSize(), isScrolling: virtual.isScrolling };
}
