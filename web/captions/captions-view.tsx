import type { DatasetWithFiles } from '../../src/http/client.js';

/** All captions of a dataset together: words, and changes to many at once. */
export function CaptionsView({ dataset }: { dataset: DatasetWithFiles }) {
  return <p>{dataset.counts.captions} captions</p>;
}
