import { setImmediate as nextLoopIteration } from 'node:timers/promises';
import type { Dataset } from '../../dataset/dataset.js';
import { type RevisionState, revisionStates } from '../../dataset/history/revision-states.js';
import type { Revision } from '../../dataset/history/revisions.js';
import { FairQueue } from '../../storage/fair-queue.js';
import type { Catalog } from '../../storage/catalog/catalog.js';

/** The digests of so many revisions are computed together. */
export const REVISIONS_PER_SEARCH = 200;
/** The files of revisions are read at once while they have no more past files than this, besides the files of the newest. */
const MAX_PAST_FILES_AT_ONCE = 50_000;

/** Revisions that requests want to know the states of. */
interface Batch {
  readonly numbers: Set<number>;
  hasBegun: boolean;
  /** Those of them that are kept. */
  readonly completed: Promise<ReadonlyMap<number, Revision>>;
}

/**
 * Computes the digests of revisions, and stores them. Of each dataset, one batch is computed at a time: requests that come
 * meanwhile share the next one, which computes what the batch before it has not stored. So many requests during many changes
 * cost no more than two batches. A batch ends whether or not its clients still wait.
 */
export class RevisionCompletion {
  readonly #catalog: Catalog;
  /** One at a time: each holds the files of up to 200 revisions for up to some seconds. */
  readonly #computing = new FairQueue(1);
  /** The last batch of each dataset in one role. */
  readonly #last = new Map<string, Batch>();

  constructor(catalog: Catalog) {
    this.#catalog = catalog;
  }

  /** The kept revisions among these, and maybe others, with their digests, as they are now or later. */
  complete(dataset: Dataset, wanted: readonly number[]): Promise<ReadonlyMap<number, Revision>> {
    const key = `${dataset.role} ${dataset.id}`;
    const last = this.#last.get(key);
    if (last !== undefined && !last.hasBegun) {
      for (const number of wanted) last.numbers.add(number);
      return last.completed;
    }
    const numbers = new Set(wanted);
    const begin = () => {
      batch.hasBegun = true;
      return this.#completed(dataset, numbers);
    };
    const end = () => {
      if (this.#last.get(key) === batch) this.#last.delete(key);
    };
    const before = last?.completed.catch(() => {}) ?? Promise.resolve();
    const batch: Batch = { numbers, hasBegun: false, completed: before.then(begin).finally(end) };
    this.#last.set(key, batch);
    return batch.completed;
  }

  async #completed(dataset: Dataset, numbers: ReadonlySet<number>): Promise<ReadonlyMap<number, Revision>> {
    const completed = new Map<number, Revision>();
    for (let left = [...numbers].sort((a, b) => b - a); left.length > 0; ) {
      const [to = 0] = left;
      const some = left.filter((number) => number > to - REVISIONS_PER_SEARCH);
      left = left.slice(some.length);
      // The batch before this one may have stored their states.
      const page = { before: to + 1, limit: to - some.at(-1)! + 1 };
      const revisions = await this.#catalog.revisions.page(dataset.id, page);
      for (const revision of revisions) completed.set(revision.number, revision);
      const isUnknown = ({ number, isReady }: Revision) => numbers.has(number) && isReady === null;
      for (const range of rangesOf(revisions, isUnknown)) {
        const computed = await this.#computing.run(dataset.accountId, () => this.#computed(dataset, range));
        for (const revision of computed) completed.set(revision.number, revision);
      }
    }
    return completed;
  }

  /** The kept revisions of a range. The states that were not known are computed and stored. */
  async #computed(
    { id: datasetId, accountId, role }: Dataset,
    range: { from: number; to: number },
  ): Promise<Revision[]> {
    const catalog = this.#catalog;
    const read = () => catalog.revisions.range(datasetId, range);
    const { revisions, files, readinessVersion } = await catalog.readMany(accountId, read);
    const unknown = revisions.filter(({ isReady }) => isReady === null);
    const numbers = unknown.map(({ number }) => number);
    const states = new Map<number, RevisionState>();
    for (const state of revisionStates(files, { numbers, role })) {
      states.set(state.number, state);
      // The digests of a page of revisions can take seconds, and each of them a few hundredths.
      await nextLoopIteration();
    }
    await catalog.revisions.saveFindings(
      { datasetId, role, readinessVersion },
      unknown.map(({ number, changedAt }) => ({ ...states.get(number)!, changedAt })),
    );
    return revisions.map((revision) => ({ ...revision, ...states.get(revision.number) }));
  }
}

/**
 * Ranges that have all these revisions that are wanted. A range has no gap: of revisions that are no longer kept, past files may
 * be left that retention has not deleted yet.
 *
 * @param revisions newest first
 */
function rangesOf(revisions: readonly Revision[], isWanted: (revision: Revision) => boolean) {
  const ranges: { from: number; to: number }[] = [];
  let range: { from: number; to: number } | undefined;
  let pastFiles = 0;
  let newer: Revision | undefined;
  for (const revision of revisions) {
    const { number } = revision;
    if (newer !== undefined) pastFiles += newer.removed + newer.changed;
    if (pastFiles > MAX_PAST_FILES_AT_ONCE || newer?.number !== number + 1) range = undefined;
    newer = revision;
    if (!isWanted(revision)) continue;
    if (range === undefined) {
      range = { from: number, to: number };
      ranges.push(range);
      pastFiles = 0;
    }
    range.from = number;
  }
  return ranges;
}
