import type { StoredFile } from '../../../dataset/dataset.js';
import type { FileKind } from '../../../dataset/media.js';
import type { Database } from '../../database/database.js';
import { type FileRow, required } from '../rows.js';
import { storedFilesNamed } from '../statements.js';
import { type RevisionFileNames, revisionFilesNamed } from './revisions.js';

/**
 * A stored file as a download needs it. A download of many files holds them until its client has read it, and the facts and
 * warnings of a file may take kilobytes.
 */
export interface DownloadFile extends Pick<StoredFile, 'id' | 'datasetId' | 'filename'> {
  readonly upload: Pick<StoredFile['upload'], 'sizeBytes' | 'finalizedAt' | 'blobVersion'>;
}

/** A file whose kind is known, and whose bytes can be compared with their SHA-256. */
export interface HashedFile extends DownloadFile {
  readonly kind: FileKind;
  readonly upload: DownloadFile['upload'] & Pick<StoredFile['upload'], 'sha256'>;
}

/** What a download needs of a file. */
export function hashedFileOf({ id, datasetId, filename, kind, upload }: StoredFile): HashedFile {
  const { sizeBytes, sha256, finalizedAt, blobVersion } = upload;
  return { id, datasetId, filename, kind, upload: { sizeBytes, sha256, finalizedAt, blobVersion } };
}

const COLUMNS = ['id', 'filename', 'finalized_at', 'size_bytes', 'blob_version'] as const;
const HASHED_COLUMNS = [...COLUMNS, 'kind', 'sha256'] as const;

/** Reads the stored files of datasets and of their revisions for downloads. */
export class DownloadFiles {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /**
   * The name of a dataset and all its files, unordered, from one snapshot.
   *
   * @returns `undefined` if the account has no such dataset
   */
  async ofDataset({
    accountId,
    id,
  }: {
    accountId: string;
    id: string;
  }): Promise<{ name: string; files: DownloadFile[] } | undefined> {
    const { query } = this.#db;
    const own = query.selectFrom('dataset').where('id', '=', id).where('account_id', '=', accountId);
    const files = query.selectFrom('file').select(COLUMNS).where('dataset_id', '=', own.select('id'));
    const [[dataset], rows] = await this.#db.read([own.select('name'), files.where('state', '=', 'stored')]);
    return dataset && { name: dataset.name, files: filesOf(rows, id) };
  }

  /**
   * All files of a revision, unordered.
   *
   * @returns `undefined` if the revision is not kept
   */
  async ofRevision({ datasetId, number }: { datasetId: string; number: number }): Promise<DownloadFile[] | undefined> {
    const { query } = this.#db;
    const [[revision], stored, past] = await this.#db.read([
      query.selectFrom('revision').select('number').where('dataset_id', '=', datasetId).where('number', '=', number),
      query
        .selectFrom('file')
        .select(COLUMNS)
        .where('dataset_id', '=', datasetId)
        .where('state', '=', 'stored')
        .where('added_in', '<=', number),
      query
        .selectFrom('past_file')
        .select(COLUMNS)
        .where('dataset_id', '=', datasetId)
        .where('removed_in', '>', number)
        .where('added_in', '<=', number),
    ]);
    return revision && filesOf([...stored, ...past], datasetId);
  }

  /** The files of a dataset that have one of these names, unordered. */
  async named(key: { datasetId: string; filenames: readonly string[] }): Promise<HashedFile[]> {
    const found: HashedFile[] = [];
    for (const select of storedFilesNamed(this.#db.query, key.datasetId, [...new Set(key.filenames)])) {
      const rows = await select.clearSelect().select(HASHED_COLUMNS).execute();
      for (const row of rows) found.push(hashedOf(row, key.datasetId));
    }
    return found;
  }

  /** The files of a revision that have one of these names, unordered; none if the revision is not kept. */
  async namedInRevision(key: RevisionFileNames): Promise<HashedFile[]> {
    const { past, current } = revisionFilesNamed(this.#db.query, key);
    const statements = [
      ...past.map((select) => select.clearSelect().select(HASHED_COLUMNS)),
      ...current.map((select) => select.clearSelect().select(HASHED_COLUMNS)),
    ];
    const wanted = new Set(key.filenames);
    const rows = (await this.#db.read(statements)).flat().filter(({ filename }) => wanted.has(filename));
    return rows.map((row) => hashedOf(row, key.datasetId));
  }
}

type DownloadRow = Pick<FileRow, (typeof COLUMNS)[number]>;

function filesOf(rows: readonly DownloadRow[], datasetId: string): DownloadFile[] {
  return rows.map(({ id, filename, ...row }) => ({ id, datasetId, filename, upload: uploadOf(row) }));
}

function uploadOf(row: Omit<DownloadRow, 'id' | 'filename'>): DownloadFile['upload'] {
  const { size_bytes: sizeBytes, finalized_at: finalizedAt, blob_version: blobVersion } = row;
  return { sizeBytes: required(sizeBytes), finalizedAt: required(finalizedAt), blobVersion };
}

function hashedOf(row: Pick<FileRow, (typeof HASHED_COLUMNS)[number]>, datasetId: string): HashedFile {
  const { id, filename, kind, sha256 } = row;
  return { id, datasetId, filename, kind: kind as FileKind, upload: { ...uploadOf(row), sha256: required(sha256) } };
}
