import { sql } from 'kysely';
import type { ChangeKind, Micros, Role, StoredFile } from '../../../dataset/dataset.js';
import { ServiceError } from '../../../dataset/errors.js';
import { filesStateOf, type Revision, type VersionedFile } from '../../../dataset/history/revisions.js';
import type { FileKind } from '../../../dataset/media.js';
import { type Database, databaseError, query } from '../../database/database.js';
import type { Schema } from '../../database/schema.js';
import {
  fileOf,
  type FileRow,
  type PastFileRow,
  pastFileOf,
  required,
  rowChunksOf,
  STORED,
  storedFilesNamed,
  storedFilesOf,
  type StoredRow,
  withDataset,
} from '../rows.js';

/** A revision, or the difference between two. */
export interface RevisionRange {
  readonly datasetId: string;
  /** At most `to`. */
  readonly from: number;
  readonly to: number;
}

/** Without facts and warnings, which take most of the time to read. */
const DIGEST_COLUMNS = sql`filename, kind, size_bytes, sha256`;
type DigestRow = Pick<FileRow, 'filename' | 'kind' | 'size_bytes' | 'sha256'>;

/** Reads and pins revisions, whose files are rows of `file` and `past_file`. */
export class Revisions {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Newest first. */
  async page(
    datasetId: string,
    {
      before = Number.MAX_SAFE_INTEGER,
      limit = Number.MAX_SAFE_INTEGER,
    }: { before?: number | undefined; limit?: number } = {},
  ): Promise<Revision[]> {
    const page = sql<RevisionRow>`
      ${ofDataset(datasetId)} and number < ${before} order by number desc limit ${sql.lit(limit)}`;
    return (await this.#db.read([page]))[0].map(revisionOf);
  }

  async find(datasetId: string, number: number): Promise<Revision | undefined> {
    const [[row]] = await this.#db.read([sql<RevisionRow>`${ofDataset(datasetId)} and number = ${number}`]);
    return row && revisionOf(row);
  }

  /**
   * Computes and stores the digest of a revision. A failure to store it is ignored, so that a full disk blocks no read.
   *
   * @returns `undefined` if the revision is not kept
   */
  async computeDigest(datasetId: string, number: number): Promise<Revision | undefined> {
    const { stored, past } = versionsOf({ datasetId, from: number, to: number });
    const [[row], storedRows, pastRows] = await this.#db.read([
      sql<RevisionRow>`${ofDataset(datasetId)} and number = ${number}`,
      sql<DigestRow>`select ${DIGEST_COLUMNS} ${stored}`,
      sql<DigestRow>`select ${DIGEST_COLUMNS} ${past}`,
    ]);
    if (row === undefined) return undefined;
    const { digest, readyAs } = filesStateOf([...storedRows, ...pastRows].map(digestFileOf));
    const known = { digest, ready_as: JSON.stringify(readyAs) };
    const { added, removed, changed } = row;
    const update = sql`update revision set digest = ${digest}, ready_as = ${known.ready_as}
      where dataset_id = ${datasetId} and number = ${number}
        and added = ${added} and removed = ${removed} and changed = ${changed}`;
    await this.#db
      .transact({ isDurable: false }, ({ commit }) => commit([update]))
      .catch((error) => {
        if (!(error instanceof ServiceError) && databaseError(error) === undefined) throw error;
      });
    return revisionOf({ ...row, ...known });
  }

  /** The files of a revision, or those that only one of two has, and which of the revisions are kept, from one snapshot. */
  async versions(
    range: RevisionRange,
    read: Database['read'] = this.#db.read,
  ): Promise<{ kept: ReadonlySet<number>; files: VersionedFile[] }> {
    const { datasetId, from, to } = range;
    const { stored, past } = versionsOf(range);
    const [kept, storedRows, pastRows] = await read([
      sql<{
        number: number;
      }>`select number from revision where dataset_id = ${datasetId} and number in (${from}, ${to})`,
      sql<StoredRow>`select ${STORED} ${stored}`,
      sql<PastFileRow>`select ${STORED}, removed_in ${past}`,
    ]);
    return {
      kept: new Set(kept.map(({ number }) => number)),
      files: [...storedFilesOf(storedRows), ...pastRows.map(pastFileOf)],
    };
  }

  /** The files of a revision with these names, unordered; none if it is not kept. */
  async files(of: { datasetId: string; number: number; filenames: readonly string[] }): Promise<StoredFile[]> {
    const { datasetId, number, filenames } = of;
    const isKept = sql<boolean>`dataset_id = (
      select dataset_id from revision where dataset_id = ${datasetId} and number = ${number}
    ) and added_in <= ${number}`;
    const names = [...new Set(filenames)];
    const current = storedFilesNamed(datasetId, names).map((files) => files.where(isKept));
    // The unary plus makes SQLite look the names up
    // (https://sqlite.org/optoverview.html#disqualifying_where_clause_terms_using_unary_).
    const past = rowChunksOf(names).map(
      (chunk) => sql<PastFileRow>`select ${STORED}, removed_in from past_file
        where ${isKept} and filename in (${sql.join(chunk)}) and +removed_in > ${number}`,
    );
    const rows = (await this.#db.read([...past, ...current])).flat();
    return rows.map((row) => ('removed_in' in row ? pastFileOf(row) : (fileOf(row) as StoredFile)));
  }

  async isPast(id: string): Promise<boolean> {
    const [past] = await this.#db.read([sql`select id from past_file where id = ${id} limit 1`]);
    return past.length > 0;
  }

  /** Pins a revision, which closes the latest one, or ends its pin. @returns false if the revision is not kept */
  async setPin(datasetId: string, number: number, pin: { at: Micros; by: string; note: string | null } | null) {
    const columns = { pinned_at: pin?.at ?? null, pinned_by: pin?.by ?? null, pin_note: pin?.note ?? null };
    const revision = query.updateTable('revision').set(columns).where('dataset_id', '=', datasetId);
    // Retention and changes of files take the same lock.
    const isSet = await withDataset(this.#db, { id: datasetId }, async (dataset, { send, commit }) => {
      const [changed] = await send([revision.where('number', '=', number).returning('number')]);
      if (changed.length === 0) return false;
      const isClosed = pin !== null && dataset.revision === number;
      const close = sql`update dataset set revision_group = null, revision_since = null where id = ${datasetId}`;
      await commit(isClosed ? [close] : []);
      return true;
    });
    return isSet ?? false;
  }
}

type RevisionRow = Schema['revision'] & { readonly role: string; readonly has_damaged_file: number };

function ofDataset(datasetId: string) {
  // Computed once for all revisions.
  const firstDamaged = sql`
    select min(added_in) from file where dataset_id = ${datasetId} and state = 'stored' and problem is not null`;
  return sql`select revision.*, dataset.role, case when revision.number >= (${firstDamaged})
      or exists (select 1 from past_file where past_file.dataset_id = revision.dataset_id and problem is not null
        and added_in <= revision.number and removed_in > revision.number)
      then 1 else 0 end as has_damaged_file
    from revision join dataset on dataset.id = revision.dataset_id where dataset_id = ${datasetId}`;
}

function revisionOf(row: RevisionRow): Revision {
  const { number, added, removed, changed, files, bytes, digest, ready_as: readyAs } = row;
  const isReadyAs = (roles: readonly Role[]) => roles.includes(row.role as Role) && row.has_damaged_file === 0;
  return {
    number,
    startedAt: row.started_at,
    changedAt: row.changed_at,
    token: row.token_id === null ? null : { id: row.token_id, name: row.token_name ?? '' },
    how: row.how as ChangeKind,
    ...{ added, removed, changed, files, bytes },
    changeId: row.change_id,
    restoredFrom: row.restored_from,
    digest,
    isReady: readyAs === null ? null : isReadyAs(JSON.parse(readyAs)),
    pin: row.pinned_at === null ? null : { at: row.pinned_at, by: row.pinned_by ?? '', note: row.pin_note },
  };
}

function digestFileOf({ filename, kind, size_bytes, sha256 }: DigestRow) {
  const upload = { state: 'stored', sizeBytes: required(size_bytes), sha256: required(sha256) } as const;
  return { filename, kind: kind as FileKind, upload };
}

/** The stored and past files of a revision, or those that only one of two has. */
function versionsOf({ datasetId, from, to }: RevisionRange) {
  const stored = sql`from file where dataset_id = ${datasetId} and state = 'stored' and added_in <= ${to}`;
  const past = sql`from past_file where dataset_id = ${datasetId} and removed_in > ${from} and added_in <= ${to}`;
  if (from === to) return { stored, past };
  return {
    stored: sql`${stored} and added_in > ${from}`,
    past: sql`${past} and (
      (added_in <= ${from} and removed_in <= ${to}) or (added_in > ${from} and removed_in > ${to}))`,
  };
}
