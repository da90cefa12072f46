import { useMemo } from 'react';
import type { DatasetWithFiles } from '../../src/http/client.js';
import { pairsOf } from '../pairs/pairs.js';
import { CaptionList } from './caption-list.js';

/** All captions of a dataset together: words, and changes to many at once. */
export function CaptionsView({ dataset }: { dataset: DatasetWithFiles }) {
  const pairs = useMemo(() => pairsOf(dataset), [dataset]);
  return <CaptionList datasetId={dataset.id} pairs={pairs} />;
}
