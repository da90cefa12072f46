import { MAX_LISTED } from '../../api/limits.js';
import type { ErrorProblem } from '../../dataset/problems.js';
import type { Recheck, Rechecks } from '../../storage/catalog/verification.js';
import { type DatasetKey, findRecord } from '../datasets.js';
import type { ServiceDependencies } from '../dependencies.js';

export interface RecheckProgress {
  readonly datasetId: string;
  /** `undefined` if the dataset was never rechecked. */
  readonly recheck: Recheck | undefined;
  /** By filename, at most `MAX_LISTED`. */
  readonly problems: readonly ErrorProblem[];
}

interface RecheckServices extends Pick<ServiceDependencies, 'catalog' | 'jobs' | 'now'> {
  readonly rechecks: Rechecks;
}

/** Does nothing while a recheck runs. @throws ServiceError `dataset_not_found` */
export async function recheckDataset(services: RecheckServices, key: DatasetKey): Promise<RecheckProgress> {
  const { catalog, rechecks, jobs, now } = services;
  await findRecord(catalog, key);
  await rechecks.start(key.id, now());
  jobs.wake();
  return recheckProgress(services, key);
}

/** @throws ServiceError `dataset_not_found` */
export async function recheckProgress(
  { catalog, rechecks }: Pick<RecheckServices, 'catalog' | 'rechecks'>,
  key: DatasetKey,
): Promise<RecheckProgress> {
  // Read first, so that the dataset has what a finished recheck has found.
  const recheck = await rechecks.of(key.id);
  const dataset = await findRecord(catalog, key);
  // Clients poll this: without rejected files, no file is read.
  const damaged = dataset.counts.rejected > 0 ? await rechecks.damagedFiles(key.id, MAX_LISTED) : [];
  const problems = damaged.flatMap(({ upload }) => upload.problem ?? []);
  return { datasetId: key.id, recheck, problems };
}
