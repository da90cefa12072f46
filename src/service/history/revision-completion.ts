import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Dataset } from '../../dataset/dataset.js';
import { type RevisionState, revisionStates } from '../../dataset/history/revision-states.js';
import type { Revision } from '../../dataset/history/revisions.js';
import { MAX_ITEMS_AT_ONCE, type Pieces } from '../../pieces.js';
import type { Catalog } from '../../storage/catalog/catalog.js';
import { type InPieces, inOnePiece, type ServiceDependencies } from '../dependencies.js';

/** The files of so many revisions are read at once, and their digests computed. */
export const REVISIONS_PER_SEARCH = 200;

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
  readonly #takeTurn: (accountId: string) => Promise<void>;
  readonly #inPieces: InPieces;
  /** The last batch of each dataset in one role. */
  readonly #last = new Map<string, Batch>();

  /** @param options.takeTurn is waited for before each digest is computed */
  constructor(
    catalog: Catalog,
    { takeTurn = () => nextTurn(), inPieces = inOnePiece }: Pick<ServiceDependencies, 'takeTurn' | 'inPieces'> = {},
  ) {
    this.#catalog = catalog;
    this.#takeTurn = takeTurn;
    this.#inPieces = inPieces;
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
      const unknown = revisions.filter(({ number, isReady }) => numbers.has(number) && isReady === null);
      const [newest, oldest] = [unknown[0], unknown.at(-1)];
      if (newest === undefined || oldest === undefined) continue;
      const range = { from: oldest.number, to: newest.number };
      const computed = await this.#inPieces(dataset.accountId, (pieces) =>
        this.#computed(dataset, { ...range, pieces }),
      );
      for (const revision of computed) completed.set(revision.number, revision);
    }
    return completed;
  }

  /** The kept revisions of a range. The states that were not known are computed and stored. */
  async #computed(
    { id: datasetId, accountId, role }: Dataset,
    range: { from: number; to: number; pieces: Pieces },
  ): Promise<Revision[]> {
    const kept = this.#catalog.revisions;
    const { revisions, files } = await kept.range(datasetId, range);
    const unknown = revisions.filter(({ isReady }) => isReady === null);
    const numbers = unknown.map(({ number }) => number);
    const states = new Map<number, RevisionState>();
    for (const state of revisionStates(files, { numbers, role })) {
      if (state !== undefined) states.set(state.number, state);
      await range.pieces.pause();
      // Larger work has its turns already.
      if (state !== undefined && files.length <= MAX_ITEMS_AT_ONCE) await this.#takeTurn(accountId);
    }
    await kept.saveFindings(
      datasetId,
      unknown.map(({ number, changedAt }) => ({ ...states.get(number)!, changedAt })),
    );
    return revisions.map((revision) => ({ ...revision, ...states.get(revision.number) }));
  }
}
