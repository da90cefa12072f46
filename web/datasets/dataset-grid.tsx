import { useRef } from 'react';
import type { Dataset } from '../../src/client/client.js';
import { useCardGrid } from '../ui/card-grid.js';
import { DATASET_CARD_HEIGHT_REM, DatasetCard, type DatasetVerb } from './dataset-card.js';

const GAP_REM = 1;
const MIN_WIDTH_REM = 19;

/** A grid of dataset cards that renders only the rows near the visible ones. */
export function DatasetGrid({
  datasets,
  onVerb,
}: {
  datasets: readonly Dataset[];
  onVerb: (verb: DatasetVerb, dataset: Dataset) => void;
}) {
  const list = useRef<HTMLUListElement>(null);
  const { cells, height, isScrolling } = useCardGrid(list, {
    count: datasets.length,
    heightRem: DATASET_CARD_HEIGHT_REM,
    gapRem: GAP_REM,
    leastWidthRem: MIN_WIDTH_REM,
  });
  return (
    // biome-ignore lint/a11y/noRedundantRoles: Safari drops the list role of lists without markers
    <ul ref={list} role="list" aria-label="Datasets" className="relative" style={{ height }}>
      {cells.map(({ index, style }) => {
        const dataset = datasets[index]!;
        return (
          <li
            key={dataset.id}
            aria-setsize={datasets.length}
            aria-posinset={index + 1}
            // The menu of a card covers the cards after it.
            className="absolute has-aria-expanded:z-10"
            style={style}
          >
            <DatasetCard dataset={dataset} canLoad={!isScrolling} onVerb={onVerb} />
          </li>
        );
      })}
    </ul>
  );
}
