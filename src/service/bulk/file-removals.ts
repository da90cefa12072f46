import { stemGroupsOf } from '../../dataset/counts.js';
import type { Author, WriteCondition } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import { remove, type StemGroup, withdrawUploads } from '../../dataset/upload-transitions.js';
import { type CurrentFile, PreconditionFailed } from '../../dataset/write-condition.js';
import type { Catalog } from '../../storage/catalog/catalog.js';
import type { FileChange } from '../../storage/catalog/file-changes.js';
import { type DatasetKey, datasetNotFound, findRecord, fileNotFound } from '../datasets.js';
import type { ServiceDependencies } from '../dependencies.js';

/** The condition of the file was not met. */
export interface WriteConflict {
  readonly filename: string;
  readonly outcome: 'conflict';
  readonly current: CurrentFile | undefined;
}

export type RemovedFile = WriteConflict | { readonly filename: string; readonly outcome: 'removed' | 'missing' };

export interface RemovedFiles {
  readonly files: readonly RemovedFile[];
  /** `undefined` if no stored file was removed. */
  readonly revision: number | undefined;
}

type Removal = (group: StemGroup, filename: string) => StemGroup | undefined;

export class FileRemovals {
  readonly #dependencies: Pick<ServiceDependencies, 'catalog' | 'now'>;

  constructor(dependencies: Pick<ServiceDependencies, 'catalog' | 'now'>) {
    this.#dependencies = dependencies;
  }

  /** Deletes a file and its uploads. @returns the revision without it @throws ServiceError `file_not_found`; PreconditionFailed */
  async file(
    key: DatasetKey,
    filename: string,
    { author, condition }: { author: Author; condition?: WriteCondition | undefined },
  ): Promise<number | undefined> {
    const conditions = new Map(condition === undefined ? [] : [[filename, condition]]);
    const { files, revision } = await this.files(key, [filename], { author, conditions });
    for (const removed of files) {
      if (removed.outcome === 'missing') throw fileNotFound(filename);
      if (removed.outcome === 'conflict') throw new PreconditionFailed(filename, removed.current);
    }
    return revision;
  }

  /** Deletes files, each if its condition is met. @returns the results in order @throws ServiceError `dataset_not_found` */
  files(
    key: DatasetKey,
    filenames: readonly string[],
    { author, conditions }: { author: Author; conditions: ReadonlyMap<string, WriteCondition> },
  ): Promise<RemovedFiles> {
    const removal: Removal = (group, filename) => remove(group, filename, conditions.get(filename));
    return this.#removeEach(key, filenames, removal, author);
  }

  /** Removes the unfinished uploads of a name, not a stored file. @throws ServiceError `dataset_not_found`, `file_not_found` */
  async upload(key: DatasetKey, filename: string): Promise<void> {
    const [removed] = await this.uploads(key, [filename]);
    if (removed?.outcome === 'removed') return;
    const message = `The dataset has no pending or rejected upload of ${JSON.stringify(filename)}.`;
    throw new ServiceError('file_not_found', message);
  }

  /** As `upload`, for many names. */
  async uploads(key: DatasetKey, filenames: readonly string[]): Promise<readonly RemovedFile[]> {
    return (await this.#removeEach(key, filenames, withdrawUploads)).files;
  }

  async #removeEach(
    key: DatasetKey,
    filenames: readonly string[],
    removal: Removal,
    author?: Author,
  ): Promise<RemovedFiles> {
    const { catalog, now } = this.#dependencies;
    await findRecord(catalog, key);
    const change = { datasetId: key.id, now: now(), isActivity: true, ...(author && { author }) };
    const items = filenames.map((filename) => ({ filename }));
    const { results, revision } = await changeEach<{ filename: string }, RemovedFile>(
      catalog,
      change,
      items,
      (group, { filename }) => {
        const next = removal(group, filename);
        return [next ?? group, { filename, outcome: next === undefined ? 'missing' : 'removed' }];
      },
    );
    return { files: results, revision };
  }
}

/**
 * Changes files of a dataset in one transaction, each if its condition is met.
 *
 * @param apply returns the changed group and the result for one file; throws PreconditionFailed
 * @returns the results in the order of `items`
 * @throws ServiceError `dataset_not_found`
 */
export async function changeEach<T extends { readonly filename: string }, R>(
  catalog: Catalog,
  change: Omit<FileChange, 'filenames'>,
  items: readonly T[],
  apply: (group: StemGroup, item: T) => [StemGroup, R],
): Promise<{ results: (R | WriteConflict)[]; revision: number | undefined }> {
  const results = new Map<string, R | WriteConflict>();
  const byStem = stemGroupsOf(items);
  const filenames = items.map(({ filename }) => filename);
  const applyTo = (group: StemGroup, item: T): StemGroup => {
    const { filename } = item;
    try {
      const [next, result] = apply(group, item);
      results.set(filename, result);
      return next;
    } catch (error) {
      if (!(error instanceof PreconditionFailed)) throw error;
      results.set(filename, { filename, outcome: 'conflict', current: error.current });
      return group;
    }
  };
  const changed = await catalog.change({ ...change, filenames }, (group, stem) =>
    (byStem.get(stem) ?? []).reduce(applyTo, group),
  );
  if (changed === undefined) throw datasetNotFound(change.datasetId);
  return { results: filenames.map((filename) => results.get(filename)!), revision: changed.recordedIn };
}
