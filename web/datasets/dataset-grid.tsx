import { useRef } from 'react';
import type { Dataset } from '../../src/client/client.js';
import { useCardGrid } from '../ui/card-grid.js';
import { DATASET_CARD_HEIGHT_REM, DatasetCard, type DatasetVerb, HEIGHT_WITH_LINKED_REM } from './dataset-card.js';
import type { ListedDataset } from './dataset-filter.js';

const GAP_REM = 1;
const MIN_WIDTH_REM = 19;

/** A grid of dataset cards that renders only the rows near the visible ones. */
export function DatasetGrid({
  datasets,
  onVerb,
}: {
  datasets: readonly ListedDataset[];
  onVerb: (verb: DatasetVerb, dataset: Dataset) => void;
}) {
  const list = useRef<HTMLUListElement>(null);
  const { cells, height, isScrolling } = useCardGrid(list, {
    count: datasets.length,
    heightRem: datasets.some(({ linked }) => linked.length > 0) ? HEIGHT_WITH_LINKED_REM : DATASET_CARD_HEIGHT_REM,
    gapRem: GAP_REM,
    leastWidthRem: MIN_WIDTH_REM,
  });
  return (
    // biome-ignore lint/a11y/noRedundantRoles: Safari drops the list role of lists without markers
    <ul ref={list} role="list" aria-label="Datasets" className="relative" style={{ height }}>
      {cells.map(({ index, style }) => {
        const { dataset, linked } = datasets[index]!;
        return (
          <li
            key={dataset.id}
            aria-setsize={datasets.length}
            aria-posinset={index + 1}
            // The menu of a card covers the cards after it.
            className="absolute has-aria-expanded:z-10"
            style={style}
          >
            <DatasetCard dataset={dataset} linked={linked} canLoad={!isScrolling} onVerb={onVerb} />
          </li>
        );
      })}
    </ul>
  );
}
