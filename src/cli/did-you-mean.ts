import { nearestName } from '../nearest-name.js';

/** Suggests the dataset whose name is like one that does not exist: ` Did you mean "railway"?`, or an empty text. */
export function didYouMean(name: string, datasets: readonly { name: string }[]): string {
  const near = nearestName(
    name,
    datasets.map((dataset) => dataset.name),
    Math.max(1, name.length / 3),
  );
  return near === undefined ? '' : ` Did you mean ${JSON.stringify(near)}?`;
}
