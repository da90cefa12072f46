import type { DatasetWithFiles } from '../../src/http/client.js';

/** All pairs of a dataset. */
export function PairsView({ dataset }: { dataset: DatasetWithFiles }) {
  return <p>{dataset.files.length} files</p>;
}
