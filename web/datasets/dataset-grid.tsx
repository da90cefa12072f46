import { useWindowVirtualizer } from '@tanstack/react-virtual';
import { useLayoutEffect, useRef, useState } from 'react';
import type { Dataset } from '../../src/http/client.js';
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
  const { columns, rem, top } = useLayout(list);
  const virtual = useWindowVirtualizer({
    count: Math.ceil(datasets.length / columns),
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

/** How many columns there is room for, and where the list begins on the page. */
function useLayout(list: { readonly current: HTMLElement | null }) {
  const [layout, setLayout] = useState({ columns: 1, rem: 16, top: 0 });
  useLayoutEffect(() => {
    const element = list.current;
    if (element === null) return;
    const measure = () => {
      const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
      const width = element.clientWidth / rem;
      const columns = Math.max(1, Math.floor((width + GAP_REM) / (LEAST_WIDTH_REM + GAP_REM)));
      const top = element.getBoundingClientRect().top + window.scrollY;
      setLayout((known) =>
        known.columns === columns && known.rem === rem && known.top === top ? known : { columns, rem, top },
      );
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    observer.observe(document.body);
    return () => observer.disconnect();
  }, [list]);
  return layout;
}
