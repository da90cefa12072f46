import type { Revision } from '../dataset/history/revisions.js';
import { ServiceError } from '../dataset/errors.js';
import type { Catalog } from '../storage/catalog/catalog.js';

const MAX_LISTED_NUMBERS = 2000;

/** @throws ServiceError `revision_not_found` */
export async function findRevision(catalog: Catalog, datasetId: string, number: number): Promise<Revision> {
  const revision = await catalog.revisions.find(datasetId, number);
  if (revision === undefined) throw await revisionNotFound(catalog, datasetId, number);
  return revision;
}

export async function revisionNotFound(catalog: Catalog, datasetId: string, number: number): Promise<ServiceError> {
  const kept = await keptSentence(catalog, datasetId);
  return new ServiceError('revision_not_found', `Revision ${number} does not exist or is no longer kept. ${kept}`);
}

export async function keptSentence(catalog: Catalog, datasetId: string): Promise<string> {
  const revisions = await catalog.revisions.page(datasetId, { limit: MAX_LISTED_NUMBERS });
  const numbers = revisions.map((revision) => revision.number);
  if (numbers.length === 0) return 'The dataset has no revisions, because no file was ever stored.';
  const list = rangesOf(numbers.toReversed()).join(', ');
  const older = numbers.length === MAX_LISTED_NUMBERS ? 'among the newest ' : '';
  return `Kept are ${older}${list}. Revisions are kept for some time and while they are among the latest; to keep one, pin it.`;
}

/** Shortens ascending numbers, as in `3`, `9 to 28`. */
function rangesOf(numbers: readonly number[]): string[] {
  const ranges: { first: number; last: number }[] = [];
  for (const number of numbers) {
    const range = ranges.at(-1);
    if (range !== undefined && range.last === number - 1) range.last = number;
    else ranges.push({ first: number, last: number });
  }
  return ranges.map(({ first, last }) => (first === last ? String(first) : `${first} to ${last}`));
}
