import { type DatasetFile, MICROS_PER_SECOND, type Micros } from '../../dataset/dataset.js';
import type { NewJob } from './jobs.js';

/** The store is searched for presigned uploads this long after their links were made: a client needs a while to use them. */
const FIRST_SEARCH_AFTER: Micros = 2 * MICROS_PER_SECOND;

/** The jobs that changes to the files of stems make necessary: checks of received files, and a search for presigned uploads. */
export function jobsOfChanges(
  changes: Iterable<{ readonly before: readonly DatasetFile[]; readonly after: readonly DatasetFile[] }>,
  { datasetId, accountId, now }: { datasetId: string; accountId: string; now: Micros },
): NewJob[] {
  const checks: NewJob[] = [];
  let searchAt = Number.POSITIVE_INFINITY;
  for (const { before, after } of changes) {
    for (const file of after) {
      const { id, upload } = file;
      if (before.includes(file) || (upload.state !== 'received' && upload.state !== 'pending')) continue;
      const earlier = before.find((other) => other.id === id)?.upload;
      if (upload.state === 'received') {
        if (earlier?.state !== 'received') checks.push({ kind: 'check-file', key: id, accountId, dueAt: now });
      } else if (upload.via === 'presigned') {
        if (earlier === undefined) searchAt = Math.min(searchAt, now + FIRST_SEARCH_AFTER);
      }
    }
  }
  if (searchAt === Number.POSITIVE_INFINITY) return checks;
  return [...checks, { kind: 'find-uploads', key: datasetId, accountId, dueAt: searchAt }];
}
