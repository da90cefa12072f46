import type { DatasetWithFiles } from '../../src/http/client.js';

/** Whether a dataset is fit to train on, and what a look at all of it tells. */
export function FitnessView({ dataset }: { dataset: DatasetWithFiles }) {
  return <p>{dataset.status}</p>;
}
