import { recordRecheck } from '../../dataset/check-transitions.js';
import type { Micros } from '../../dataset/dataset.js';
import type { Catalog } from '../../storage/catalog/catalog.js';
import { checkCounts, completeFile, markPastFile } from '../../storage/catalog/catalog-check.js';
import { fetchIntact } from '../check/fetch-intact.js';
import type { CheckState, StoreFinding, StoreFindingKind, LostFile, StrayObject } from './findings.js';
import { type StrayContext, straysIn } from './find-strays.js';

/** If a store has none of this many files, or a catalog names none of this many objects, the two may not belong together. */
const MIN_FILES_FOR_DOUBT = 10;

/** What `repair` did with a finding: `solved`, or the reason why it is left. */
export type Repaired =
  | { readonly isSolved: true; readonly deed: 'removed' | 'corrected' | 'gone' | 'intact' }
  | { readonly isSolved: false; readonly deed: 'marked' | 'left'; readonly reason?: string };

export interface RepairContext extends StrayContext {
  readonly catalog: Catalog;
  /** Objects that changed later are left. */
  readonly grace: Micros;
  readonly signal: AbortSignal;
}

/** The reason why nothing can be repaired without guessing; `undefined` if it can. */
export function doubtOf(state: CheckState, totals: Record<StoreFindingKind, number>): string | undefined {
  if (state.explained > 0) return undefined;
  if (totals.missing >= MIN_FILES_FOR_DOUBT) {
    return 'The store has none of the files that the catalog names. It may be another store, or a disk that is not mounted.';
  }
  if (totals.orphaned >= MIN_FILES_FOR_DOUBT) {
    return 'The catalog names none of the files in the store. It may be another catalog, or an empty one.';
  }
  return undefined;
}

/**
 * Repairs a finding, if that needs no guessing. Checks it again first, since a service may have changed it.
 *
 * @throws ServiceError if the catalog or the store can't be read or written; the signal's reason
 */
export async function repair(finding: StoreFinding, context: RepairContext): Promise<Repaired> {
  switch (finding.kind) {
    case 'missing':
    case 'damaged':
      return markLost(finding, context);
    case 'miscounted':
      await checkCounts(context.db, finding.datasetId, { corrects: true });
      return { isSolved: true, deed: 'corrected' };
    case 'orphaned':
    case 'unfinished':
      return removeStray(finding, context);
    case 'foreign':
      return { isSolved: false, deed: 'left', reason: 'trainyard did not make it; remove it by hand' };
  }
}

/**
 * Makes the dataset FAILED, as a recheck does, and does so whenever the file is restored. The bytes stay. Reads them again
 * first: those of a store that was away during the check are back.
 */
async function markLost({ fileId, datasetId, filename }: LostFile, context: RepairContext): Promise<Repaired> {
  const { catalog, db, inventory, now, signal } = context;
  const file = await completeFile(db, fileId);
  if (file === undefined) return { isSolved: true, deed: 'gone' };
  const fetched = await fetchIntact(inventory, file, { signal });
  if ('blob' in fetched) {
    await fetched.blob.discard();
    return { isSolved: true, deed: 'intact' };
  }
  if (file.upload.state === 'received') {
    return { isSolved: false, deed: 'left', reason: 'the service rejects it when it checks it' };
  }
  const { problem } = fetched;
  const change = { datasetId, filenames: [filename], now: now(), isActivity: false };
  await catalog.change(change, (group) => recordRecheck(group, fileId, { ok: false, problem }));
  // After the files: a file moves from them to the history.
  await markPastFile(db, fileId, problem);
  return { isSolved: false, deed: 'marked' };
}

async function removeStray({ object }: StrayObject, context: RepairContext): Promise<Repaired> {
  const { inventory, grace } = context;
  const [stray] = await straysIn([object], context);
  if (stray === undefined) return { isSolved: true, deed: 'gone' };
  if (object.kind !== 'temporary' && object.changedAt > Date.now() - grace / 1000) {
    return { isSolved: false, deed: 'left', reason: `changed less than ${grace / 1_000_000} seconds ago` };
  }
  await inventory.remove(object);
  return { isSolved: true, deed: 'removed' };
}
