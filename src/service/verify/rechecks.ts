import { MAX_LISTED } from '../../api/limits.js';
import { damagedFiles, recheckOf, startRecheck } from '../../storage/catalog/verification.js';
import type { Database } from '../../storage/database/database.js';
import { type DatasetKey, findRecord } from '../datasets.js';
import type { ServiceDependencies } from '../dependencies.js';

export type RecheckProgress = Awaited<ReturnType<typeof recheckProgress>>;

interface RecheckServices extends Pick<ServiceDependencies, 'catalog' | 'jobs' | 'now'> {
  readonly database: Database;
}

/** Does nothing while a recheck runs. @throws ServiceError `dataset_not_found` */
export async function recheckDataset(services: RecheckServices, key: DatasetKey): Promise<RecheckProgress> {
  const { catalog, database, jobs, now } = services;
  await findRecord(catalog, key);
  const statements = startRecheck({ datasetId: key.id, now: now(), ifRunning: 'continue' });
  await database.transact({ isDurable: true }, ({ commit }) => commit(statements));
  jobs.wake();
  return recheckProgress(services, key);
}

/** With the first problems by filename. @throws ServiceError `dataset_not_found` */
export async function recheckProgress(
  { catalog, database }: Pick<RecheckServices, 'catalog' | 'database'>,
  key: DatasetKey,
) {
  // Read first, so that the dataset has what a finished recheck has found.
  const recheck = await recheckOf(database, key.id);
  const dataset = await findRecord(catalog, key);
  // Clients poll this: without rejected files, no file is read.
  const damaged = dataset.counts.rejected > 0 ? await damagedFiles(database, key.id, MAX_LISTED) : [];
  const problems = damaged.flatMap(({ upload }) => upload.problem ?? []);
  return { datasetId: key.id, recheck, problems };
}
