import { sql } from 'kysely';
import type { Micros, Role, StoredFile } from '../../../dataset/dataset.js';
import { ServiceError } from '../../../dataset/errors.js';
import type { RevisionState, VersionedFile } from '../../../dataset/history/revision-states.js';
import type { Revision } from '../../../dataset/history/revisions.js';
import { stemOf } from '../../../dataset/media.js';
import { type Database, databaseError, type Query } from '../../database/database.js';
import { STORED_COLUMNS, storedFileOf, storedFilesOf } from '../rows.js';
import { filesOfStems, hasDataset, lockDataset, rowChunksOf, withDataset } from '../statements.js';
import { PAST_FILE_COLUMNS, pastFileOf, revisionOf } from './revision-rows.js';

/** The state of a revision as it was after the change at this time. */
export type RevisionFinding = RevisionState & Pick<Revision, 'changedAt'>;

/** What the states of revisions were computed from, besides their files. */
interface ReadinessBasis {
  readonly datasetId: string;
  readonly role: Role;
  /** As `range` returned it with the files. */
  readonly readinessVersion: number;
}

/** Reads and pins the revisions of datasets. Files of a revision are rows of `file` and `past_file`. */
export class Revisions {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Kept revisions with numbers before `before`, newest first; if `isUnknown`, those whose digest is not known. */
  async page(
    datasetId: string,
    { before, limit, isUnknown }: { before?: number | undefined; limit: number; isUnknown?: boolean },
  ): Promise<Revision[]> {
    let page = this.#ofDataset(datasetId).orderBy('number', 'desc').limit(limit);
    if (before !== undefined) page = page.where('number', '<', before);
    if (isUnknown) page = page.where('ready', 'is', null);
    return (await page.execute()).map(revisionOf);
  }

  async find(datasetId: string, number: number): Promise<Revision | undefined> {
    const row = await this.#ofDataset(datasetId).where('number', '=', number).executeTakeFirst();
    return row && revisionOf(row);
  }

  /** The newest revision that is known to be READY with this digest. */
  async withDigest(datasetId: string, digest: string): Promise<Revision | undefined> {
    const row = await this.#ofDataset(datasetId)
      .where('digest', '=', digest)
      .where('ready', '=', 1)
      .orderBy('number', 'desc')
      .limit(1)
      .executeTakeFirst();
    return row && revisionOf(row);
  }

  /** The numbers of kept revisions, newest first. */
  async numbers(datasetId: string, limit: number): Promise<number[]> {
    const rows = await this.#db.query
      .selectFrom('revision')
      .select('number')
      .where('dataset_id', '=', datasetId)
      .orderBy('number', 'desc')
      .limit(limit)
      .execute();
    return rows.map(({ number }) => number);
  }

  #ofDataset(datasetId: string) {
    return this.#db.query.selectFrom('revision').selectAll().where('dataset_id', '=', datasetId);
  }

  /**
   * Kept revisions from number `from` to number `to`, newest first, and every file that is in one of them, unordered, from
   * one snapshot. Between kept revisions, files that were in none of them may be missing.
   *
   * @param options.isDifference reads `from` and `to` alone, and the files that are in only one of them
   */
  async range(
    datasetId: string,
    { from, to, isDifference = false }: { from: number; to: number; isDifference?: boolean },
  ): Promise<{ revisions: Revision[]; files: VersionedFile[]; readinessVersion: number }> {
    const { query } = this.#db;
    const ofDataset = this.#ofDataset(datasetId);
    const numbered = isDifference
      ? ofDataset.where('number', 'in', [from, to])
      : ofDataset.where('number', '>=', from).where('number', '<=', to);
    const files = query
      .selectFrom('file')
      .select(STORED_COLUMNS)
      .where('dataset_id', '=', datasetId)
      .where('state', '=', 'stored')
      .where('added_in', '<=', to);
    const pastFiles = query
      .selectFrom('past_file')
      .select(PAST_FILE_COLUMNS)
      .where('dataset_id', '=', datasetId)
      .where('removed_in', '>', from)
      .where('added_in', '<=', to);
    const [[dataset], revisions, stored, past] = await this.#db.read([
      query.selectFrom('dataset').select('readiness_version').where('id', '=', datasetId),
      numbered.orderBy('number', 'desc'),
      isDifference ? files.where('added_in', '>', from) : files,
      isDifference
        ? pastFiles.where(({ eb, or, and }) =>
            or([
              and([eb('added_in', '<=', from), eb('removed_in', '<=', to)]),
              and([eb('added_in', '>', from), eb('removed_in', '>', to)]),
            ]),
          )
        : pastFiles,
    ]);
    return {
      revisions: revisions.map(revisionOf),
      files: [...storedFilesOf(stored, datasetId), ...past.map(pastFileOf)],
      readinessVersion: dataset?.readiness_version ?? 0,
    };
  }

  /** The files of a revision that have one of these names, unordered; none if the revision is not kept. */
  async files(key: RevisionFileNames): Promise<StoredFile[]> {
    const { past, current } = revisionFilesNamed(this.#db.query, key);
    const wanted = new Set(key.filenames);
    const rows = (await this.#db.read([...past, ...current])).flat();
    const found = rows.map((row) => ('removed_in' in row ? pastFileOf(row) : storedFileOf(row, key.datasetId)));
    return found.filter(({ filename }) => wanted.has(filename));
  }

  /** Whether the history has a file of this id, and so its blob. */
  async isPast(id: string): Promise<boolean> {
    const select = this.#db.query
      .selectFrom('past_file')
      .select('id')
      .where('id', '=', id)
      .where(hasDataset('past_file'));
    return (await select.limit(1).executeTakeFirst()) !== undefined;
  }

  /**
   * Stores what revisions were found to be, unless that has changed since: they themselves, the role of the dataset, or which files
   * are damaged. Those that are not stored are computed again when they are asked for, so that a failure of the database is
   * ignored: revisions can be read while the disk is full.
   */
  async saveFindings(
    { datasetId, role, readinessVersion }: ReadinessBasis,
    findings: readonly RevisionFinding[],
  ): Promise<void> {
    if (findings.length === 0) return;
    const { query } = this.#db;
    const updates = findings.map(({ number, changedAt, digest, isReady }) =>
      query
        .updateTable('revision')
        .set({ digest, ready: isReady ? 1 : 0 })
        .where('dataset_id', '=', datasetId)
        .where('number', '=', number)
        .where('changed_at', '=', changedAt),
    );
    // `forgetReadiness` holds the same lock.
    const saving = withDataset(this.#db, { id: datasetId, isDurable: false }, async (dataset, { commit }) => {
      if (dataset.role === role && dataset.readiness_version === readinessVersion) await commit(updates);
    });
    await saving.catch((error) => {
      if (!(error instanceof ServiceError) && databaseError(error) === undefined) throw error;
    });
  }

  /**
   * Pins a revision, or ends its pin. The latest one is closed when it is pinned: the next change begins another.
   *
   * @returns false if the revision is not kept
   */
  async setPin(datasetId: string, number: number, pin: { at: Micros; by: string; note: string | null } | null) {
    const { query, transact } = this.#db;
    return transact({ isDurable: true }, async ({ send, commit }) => {
      // Retention and changes of files hold the same lock.
      const [[dataset], [revision]] = await send([
        lockDataset(this.#db, datasetId),
        this.#ofDataset(datasetId).where('number', '=', number),
      ]);
      if (dataset === undefined || revision === undefined) return false;
      const closed = pin !== null && dataset.revision === number ? { revision_group: null, revision_since: null } : {};
      await commit([
        query
          .updateTable('revision')
          .set({ pinned_at: pin?.at ?? null, pinned_by: pin?.by ?? null, pin_note: pin?.note ?? null })
          .where('dataset_id', '=', datasetId)
          .where('number', '=', number),
        // Retention looks at the dataset again, since it may delete a revision that is no longer pinned.
        query
          .updateTable('dataset')
          .set({ ...closed, history_due: pin === null ? 0 : dataset.history_due })
          .where('id', '=', datasetId),
      ]);
      return true;
    });
  }
}

/** Some files of a revision. */
export interface RevisionFileNames {
  readonly datasetId: string;
  readonly number: number;
  readonly filenames: readonly string[];
}

/** Selects the files of a revision by their names, and current ones that have the stem of one; none if the revision is not kept. */
export function revisionFilesNamed(query: Query, { datasetId, number, filenames }: RevisionFileNames) {
  const revision = query
    .selectFrom('revision')
    .select('dataset_id')
    .where('dataset_id', '=', datasetId)
    .where('number', '=', number);
  const past = rowChunksOf([...new Set(filenames)]).map((names) =>
    query
      .selectFrom('past_file')
      .select(PAST_FILE_COLUMNS)
      .where('dataset_id', '=', revision)
      .where('filename', 'in', names)
      .where('added_in', '<=', number)
      // By the unary plus, SQLite looks the names up, and not all files that were removed since
      // (https://sqlite.org/optoverview.html#disqualifying_where_clause_terms_using_unary_).
      .where(sql<boolean>`+removed_in > ${number}`),
  );
  const current = filesOfStems(query, datasetId, [...new Set(filenames.map(stemOf))]).map((files) =>
    files.where('dataset_id', '=', revision).where('state', '=', 'stored').where('added_in', '<=', number),
  );
  return { past, current };
}
