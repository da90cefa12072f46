import type { Pair } from '../pairs/pairs.js';

/** The caption of a pair, to be read and changed in place. */
export function CaptionField({ datasetId, pair }: { datasetId: string; pair: Pair }) {
  return (
    <p data-dataset={datasetId} className="text-sm">
      {pair.caption?.filename}
    </p>
  );
}
