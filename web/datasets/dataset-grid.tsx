import { useWindowVirtualizer } from '@tanstack/react-virtual';
import { useLayoutEffect, useRef } from 'react';
import type { Dataset } from '../../src/http/client.js';
import { useGridLayout } from '../ui/grid-layout.js';
import { CARD_HEIGHT_REM, DatasetCard } from './dataset-card.js';

const GAP_REM = 1;
const LEAST_WIDTH_REM = 19;
const ROWS_BEYOND = 2;

/** The cards near what is seen, of as many datasets as there are. */
export function DatasetGrid({
  datasets,
  onDelete,
}: {
  datasets: readonly Dataset[];
  onDelete: (dataset: Dataset) => void;
}) {
  const list = useRef<HTMLUListElement>(null);
  const layout = useGridLayout(list, { gapRem: GAP_REM, leastWidthRem: LEAST_WIDTH_REM });
  const { columns, rem, top } = layout ?? { columns: 1, rem: 16, top: 0 };
  const virtual = useWindowVirtualizer({
    count: layout === undefined ? 0 : Math.ceil(datasets.length / columns),
    estimateSize: () => (CARD_HEIGHT_REM + GAP_REM) * rem,
    overscan: ROWS_BEYOND,
    scrollMargin: top,
  });
  useLayoutEffect(() => {
    // Rows are of a size that was given once, and a person may make the text larger.
    if (rem > 0) virtual.measure();
  }, [virtual, rem]);
  return (
    // biome-ignore lint/a11y/noRedundantRoles: without markers, Safari takes it for no list any more
    <ul ref={list} role="list" aria-label="Datasets" className="relative" style={{ height: virtual.getTotalSize() }}>
      {virtual.getVirtualItems().flatMap(({ index: row, start }) =>
        datasets.slice(row * columns, (row + 1) * columns).map((dataset, column) => (
          <li
            key={dataset.id}
            aria-setsize={datasets.length}
            aria-posinset={row * columns + column + 1}
            className="absolute"
            style={{
              top: start - top,
              left: `calc((100% + ${GAP_REM}rem) * ${column / columns})`,
              width: `calc((100% + ${GAP_REM}rem) / ${columns} - ${GAP_REM}rem)`,
              height: `${CARD_HEIGHT_REM}rem`,
            }}
          >
            <DatasetCard dataset={dataset} isCalm={!virtual.isScrolling} onDelete={onDelete} />
          </li>
        )),
      )}
    </ul>
  );
}
