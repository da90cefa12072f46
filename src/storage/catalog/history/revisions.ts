import { type Selectable, sql } from 'kysely';
import type { ChangeKind, Micros, Role, StoredFile } from '../../../dataset/dataset.js';
import { ServiceError } from '../../../dataset/errors.js';
import { filesStateOf, type Revision, type VersionedFile } from '../../../dataset/history/revisions.js';
import type { FileKind } from '../../../dataset/media.js';
import { type Database, databaseError, query } from '../../database/database.js';
import type { Schema } from '../../database/schema.js';
import {
  fileOf,
  type FileRow,
  PAST_FILE_COLUMNS,
  pastFileOf,
  required,
  rowChunksOf,
  STORED_COLUMNS,
  storedFilesNamed,
  storedFilesOf,
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
const DIGEST_COLUMNS = ['filename', 'kind', 'size_bytes', 'sha256'] as const;

/** Reads and pins revisions, whose files are rows of `file` and `past_file`. */
export class Revisions {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  async page(
    datasetId: string,
    { before, limit }: { before?: number | undefined; limit?: number } = {},
  ): Promise<Revision[]> {
    let page = this.#ofDataset(datasetId).orderBy('number', 'desc');
    if (limit !== undefined) page = page.limit(limit);
    if (before !== undefined) page = page.where('number', '<', before);
    return (await this.#db.run(page)).map(revisionOf);
  }

  async find(datasetId: string, number: number): Promise<Revision | undefined> {
    const [row] = await this.#db.run(this.#ofDataset(datasetId).where('number', '=', number));
    return row && revisionOf(row);
  }

  #ofDataset(datasetId: string) {
    return query
      .selectFrom('revision')
      .innerJoin('dataset', 'dataset.id', 'revision.dataset_id')
      .selectAll('revision')
      .select(['dataset.role', HAS_DAMAGED_FILE.as('has_damaged_file')])
      .where('dataset_id', '=', datasetId);
  }

  /**
   * Computes and stores the digest of a revision. A failure to store it is ignored, so that a full disk blocks no read.
   *
   * @returns `undefined` if the revision is not kept
   */
  async computeDigest(datasetId: string, number: number): Promise<Revision | undefined> {
    const { stored, past } = versionsOf({ datasetId, from: number, to: number });
    const [[row], storedRows, pastRows] = await this.#db.read([
      this.#ofDataset(datasetId).where('number', '=', number),
      stored.select(DIGEST_COLUMNS),
      past.select(DIGEST_COLUMNS),
    ]);
    if (row === undefined) return undefined;
    const { digest, readyAs } = filesStateOf([...storedRows, ...pastRows].map(digestFileOf));
    const known = { digest, ready_as: JSON.stringify(readyAs) };
    const { added, removed, changed } = row;
    const update = query
      .updateTable('revision')
      .set(known)
      .where(({ and }) => and({ dataset_id: datasetId, number, added, removed, changed }));
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
    const revisions = query.selectFrom('revision').select('number').where('dataset_id', '=', datasetId);
    const [kept, storedRows, pastRows] = await read([
      revisions.where('number', 'in', [from, to]),
      stored.select(STORED_COLUMNS),
      past.select(PAST_FILE_COLUMNS),
    ]);
    return {
      kept: new Set(kept.map(({ number }) => number)),
      files: [...storedFilesOf(storedRows), ...pastRows.map(pastFileOf)],
    };
  }

  /** The files of a revision with these names, unordered; none if it is not kept. */
  async files(of: { datasetId: string; number: number; filenames: readonly string[] }): Promise<StoredFile[]> {
    const { datasetId, number, filenames } = of;
    const kept = query.selectFrom('revision').select('dataset_id').where('dataset_id', '=', datasetId);
    const revision = kept.where('number', '=', number);
    const names = [...new Set(filenames)];
    const past = rowChunksOf(names).map((chunk) =>
      query
        .selectFrom('past_file')
        .select(PAST_FILE_COLUMNS)
        .where('dataset_id', '=', revision)
        .where('filename', 'in', chunk)
        .where('added_in', '<=', number)
        // The unary plus makes SQLite look the names up
        // (https://sqlite.org/optoverview.html#disqualifying_where_clause_terms_using_unary_).
        .where(sql<boolean>`+removed_in > ${number}`),
    );
    const current = storedFilesNamed(datasetId, names).map((files) =>
      files.where('dataset_id', '=', revision).where('added_in', '<=', number),
    );
    const rows = (await this.#db.read([...past, ...current])).flat();
    return rows.map((row) => ('removed_in' in row ? pastFileOf(row) : (fileOf(row) as StoredFile)));
  }

  async isPast(id: string): Promise<boolean> {
    const past = query.selectFrom('past_file').select('id').where('id', '=', id);
    return (await this.#db.run(past.limit(1)))[0] !== undefined;
  }

  /** Pins a revision, which closes the latest one, or ends its pin. @returns false if the revision is not kept */
  async setPin(datasetId: string, number: number, pin: { at: Micros; by: string; note: string | null } | null) {
    const columns = { pinned_at: pin?.at ?? null, pinned_by: pin?.by ?? null, pin_note: pin?.note ?? null };
    const revision = query.updateTable('revision').set(columns).where('dataset_id', '=', datasetId);
    // Retention and changes of files take the same lock.
    const isSet = await withDataset(this.#db, { id: datasetId }, async (dataset, { send, commit }) => {
      const [changed] = await send([revision.where('number', '=', number).returning('number')]);
      if (changed.length === 0) return false;
      const closed = { revision_group: null, revision_since: null };
      const isClosed = pin !== null && dataset.revision === number;
      await commit(isClosed ? [query.updateTable('dataset').set(closed).where('id', '=', datasetId)] : []);
      return true;
    });
    return isSet ?? false;
  }
}

const HAS_DAMAGED_FILE = sql<number>`case when
  exists (select 1 from file where file.dataset_id = revision.dataset_id and state = 'stored' and problem is not null
    and added_in <= revision.number)
  or exists (select 1 from past_file where past_file.dataset_id = revision.dataset_id and problem is not null
    and added_in <= revision.number and removed_in > revision.number)
  then 1 else 0 end`;

function revisionOf(
  row: Selectable<Schema['revision']> & { readonly role: string; readonly has_damaged_file: number },
): Revision {
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

function digestFileOf({ filename, kind, size_bytes, sha256 }: Pick<FileRow, (typeof DIGEST_COLUMNS)[number]>) {
  const upload = { state: 'stored', sizeBytes: required(size_bytes), sha256: required(sha256) } as const;
  return { filename, kind: kind as FileKind, upload };
}

/** The stored and past files of a revision, or those that only one of two has. */
function versionsOf({ datasetId, from, to }: RevisionRange) {
  const stored = query
    .selectFrom('file')
    .where('dataset_id', '=', datasetId)
    .where('state', '=', 'stored')
    .where('added_in', '<=', to);
  const past = query
    .selectFrom('past_file')
    .where('dataset_id', '=', datasetId)
    .where('removed_in', '>', from)
    .where('added_in', '<=', to);
  if (from === to) return { stored, past };
  return {
    stored: stored.where('added_in', '>', from),
    past: past.where(({ eb, or, and }) =>
      or([
        and([eb('added_in', '<=', from), eb('removed_in', '<=', to)]),
        and([eb('added_in', '>', from), eb('removed_in', '>', to)]),
      ]),
    ),
  };
}
