import type {
  WireRestored,
  WireRevision,
  WireRevisionDiff,
  WireRevisionPage,
  WireRevisionWithFiles,
  WireUndone,
} from '../../api/history-schemas.js';
import {
  RESTORED,
  REVISION,
  REVISION_DIFF,
  REVISION_PAGE,
  REVISION_WITH_FILES,
  UNDONE,
} from '../answer/answer-shape.js';
import { type CallOptions, path, queryOf, type Requests } from '../requests.js';

/** Reads, restores and pins the revisions of a dataset. trainyard only. */
export class HistoryCalls {
  readonly #requests: Requests;

  constructor(requests: Requests) {
    this.#requests = requests;
  }

  /**
   * Lists one page of the kept revisions, newest first; `next_before` is the `before` of the next page.
   * @example const { revisions } = await client.history.revisions(dataset.id, { limit: 10 });
   */
  revisions(
    id: string,
    query: { limit?: number; before?: number } = {},
    options: CallOptions = {},
  ): Promise<WireRevisionPage> {
    return this.#requests.json('GET', `${path(id)}/revisions${queryOf({ ...query })}`, REVISION_PAGE, options);
  }

  /**
   * Gets one revision with all its files.
   * @example const { manifest } = await client.history.revision(dataset.id, 12);
   */
  revision(id: string, number: number, options: CallOptions = {}): Promise<WireRevisionWithFiles> {
    return this.#requests.json('GET', revisionPath(id, number), REVISION_WITH_FILES, options);
  }

  /**
   * Gets one page of the files that differ between two revisions, with the texts of captions; `next_after` is the `after` of
   * the next page. `from` may be 0, which stands for no files.
   * @example const { added, removed, changed } = await client.history.diff(dataset.id, { from: 11, to: 12 });
   */
  diff(
    id: string,
    query: { from: number; to: number; limit?: number; after?: string },
    options: CallOptions = {},
  ): Promise<WireRevisionDiff> {
    return this.#requests.json('GET', `${path(id)}/revisions/diff${queryOf({ ...query })}`, REVISION_DIFF, options);
  }

  /**
   * Makes the files of the dataset those of a revision, as a new revision. Nothing is uploaded again. Uploads that are
   * pending stay.
   * @example const { restored, revision } = await client.history.restore(dataset.id, 11);
   */
  async restore(id: string, number: number, options: CallOptions = {}): Promise<WireRestored> {
    const target = `${revisionPath(id, number)}/restore`;
    const { answer, isRepeated } = await this.#requests.change('POST', target, RESTORED, options);
    // An earlier attempt may have restored it and lost the answer.
    const { how, restored_from } = answer.revision;
    return isRepeated && how === 'restore' && restored_from === number ? { ...answer, restored: true } : answer;
  }

  /**
   * Reverses the changes of a revision, except those of files that were changed again since, which are in `kept`.
   * @example const { undone, kept } = await client.history.undo(dataset.id, 12);
   */
  async undo(id: string, number: number, options: CallOptions = {}): Promise<WireUndone> {
    const target = `${revisionPath(id, number)}/undo`;
    const { answer, isRepeated } = await this.#requests.change('POST', target, UNDONE, options);
    if (!isRepeated || answer.revision !== null || answer.undone.length === 0) return answer;
    // An earlier attempt may have made the revision and lost the answer.
    const [latest] = (await this.revisions(id, { limit: 1 }, options)).revisions;
    return latest?.how === 'undo' && latest.restored_from === number ? { ...answer, revision: latest } : answer;
  }

  /**
   * Keeps a revision until it is unpinned or the dataset is deleted.
   * @example await client.history.pin(dataset.id, 12, { note: 'trained v3 on this' });
   */
  pin(id: string, number: number, { note, ...options }: CallOptions & { note?: string } = {}): Promise<WireRevision> {
    const body = note === undefined ? {} : { note };
    return this.#requests.json('PUT', `${revisionPath(id, number)}/pin`, REVISION, { body, ...options });
  }

  /**
   * Ends the pin of a revision, which is then kept as long as others.
   * @example await client.history.unpin(dataset.id, 12);
   */
  unpin(id: string, number: number, options: CallOptions = {}): Promise<WireRevision> {
    return this.#requests.json('DELETE', `${revisionPath(id, number)}/pin`, REVISION, options);
  }
}

function revisionPath(id: string, number: number): string {
  return `${path(id)}/revisions/${number}`;
}
