import type { Author, WriteCondition } from '../../dataset/dataset.js';
import { stemOf } from '../../dataset/media.js';
import { remove, type StemGroup, withdrawUploads } from '../../dataset/upload-transitions.js';
import { type CurrentFile, PreconditionFailed } from '../../dataset/write-condition.js';
import { type DatasetKey, datasetNotFound } from '../datasets.js';
import type { ServiceDependencies } from '../dependencies.js';

/** With SQLite, a transaction blocks all other writes, several of which each upload waits for: these take some 4 ms. */
const FILES_PER_TRANSACTION = 50;

/** What became of one file. */
export type RemovedFile =
  | { readonly filename: string; readonly outcome: 'removed' | 'missing' }
  | { readonly filename: string; readonly outcome: 'conflict'; readonly current: CurrentFile | undefined };

export interface RemovedFiles {
  readonly files: readonly RemovedFile[];
  /** `undefined` if no stored file was removed. */
  readonly revision: number | undefined;
}

type Removal = (group: StemGroup, filename: string) => StemGroup | undefined;

/** Deletes many files, or withdraws many uploads, in one request. */
export class BulkRemovals {
  readonly #dependencies: ServiceDependencies;

  constructor(dependencies: ServiceDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Deletes files, each with any pending or rejected upload of its name as `remove` does, if its condition is met.
   *
   * @returns what became of each, in the order of `filenames`, and the last revision of these changes
   * @throws ServiceError `dataset_not_found`
   */
  files(
    key: DatasetKey,
    filenames: readonly string[],
    { author, conditions }: { author: Author; conditions: ReadonlyMap<string, WriteCondition> },
  ): Promise<RemovedFiles> {
    const removal: Removal = (group, filename) => remove(group, filename, conditions.get(filename));
    return this.#removeEach(key, filenames, removal, author);
  }

  /**
   * Removes pending, received and rejected uploads. Stored files of these names stay.
   *
   * @returns what became of each, in the order of `filenames`
   * @throws ServiceError `dataset_not_found`
   */
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
    if ((await catalog.dataset(key)) === undefined) throw datasetNotFound(key.id);
    const results = new Map<string, RemovedFile>();
    let revision: number | undefined;
    const apply = (group: StemGroup, filename: string): StemGroup => {
      try {
        const next = removal(group, filename);
        results.set(filename, { filename, outcome: next === undefined ? 'missing' : 'removed' });
        return next ?? group;
      } catch (error) {
        if (!(error instanceof PreconditionFailed)) throw error;
        results.set(filename, { filename, outcome: 'conflict', current: error.current });
        return group;
      }
    };
    for (let start = 0; start < filenames.length; start += FILES_PER_TRANSACTION) {
      const end = start + FILES_PER_TRANSACTION;
      const slice = filenames.slice(start, end);
      // The last commit makes those before it durable too.
      const options = { now: now(), isActivity: true, isDurable: end >= filenames.length };
      const change = { datasetId: key.id, filenames: slice, ...options, ...(author && { author }) };
      const changed = await catalog.change(change, (group, stem) =>
        slice.filter((filename) => stemOf(filename) === stem).reduce(apply, group),
      );
      if (changed === undefined) throw datasetNotFound(key.id);
      revision = changed.recordedIn ?? revision;
    }
    return { files: filenames.map((filename) => results.get(filename)!), revision };
  }
}
