import type { StoredFile } from '../../../dataset/dataset.js';
import type { FileKind } from '../../../dataset/media.js';
import type { Database } from '../../database/database.js';
import { type FileRow, required } from '../rows.js';
import { versionsOf } from './revisions.js';

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

/** Reads all stored files of a dataset, or of one of its revisions, for downloads. */
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
    const { stored, past } = versionsOf(query, { datasetId, from: number, to: number });
    const [[revision], storedRows, pastRows] = await this.#db.read([
      query.selectFrom('revision').select('number').where('dataset_id', '=', datasetId).where('number', '=', number),
      stored.select(COLUMNS),
      past.select(COLUMNS),
    ]);
    return revision && filesOf([...storedRows, ...pastRows], datasetId);
  }
}

function filesOf(rows: readonly Pick<FileRow, (typeof COLUMNS)[number]>[], datasetId: string): DownloadFile[] {
  return rows.map(({ id, filename, size_bytes, finalized_at, blob_version: blobVersion }) => {
    const upload = { sizeBytes: required(size_bytes), finalizedAt: required(finalized_at), blobVersion };
    return { id, datasetId, filename, upload };
  });
}
