import { sql } from 'kysely';
import type { StoredFile } from '../../dataset/dataset.js';
import type { ComparedFile } from '../../dataset/duplicates/duplicate-groups.js';
import type { Appearance } from '../../dataset/duplicates/perceptual-hash.js';
import type { FileKind } from '../../dataset/media.js';
import { type ChangeFeed, type Database, query, type Statement, type Transaction } from '../database/database.js';
import type { JobKind } from './jobs.js';
import { fileOf, type FileRow, insertAll, jsonReader, type ReadJson, withDataset } from './rows.js';
import { BLOB_KEY } from './file-changes.js';

/** Hashes the images of a dataset, whose id is the key, and makes their thumbnails and those of its clips. */
export const HASH_JOB = 'hash-images' satisfies JobKind;

/** What a dataset's images look like, and what people have decided about them. */
export interface Comparable {
  /** Stored images and clips without a problem. */
  readonly files: readonly ComparedFile[];
  /** Images that are not hashed yet. */
  readonly pending: number;
  /** SHA-256 of files with the same `decision` are of files that differ from one another. */
  readonly decisions: readonly { readonly decision: string; readonly sha256: string }[];
}

type MediaRow = Pick<FileRow, 'filename' | 'stem' | 'kind' | 'facts' | 'size_bytes' | 'sha256' | 'finalized_at'> & {
  readonly blob_key: string | null;
  readonly hash: string | null;
};

const IS_HASH_OF_FILE = sql`perceptual_hash.blob_key = file.dataset_id || '/' || file.id`;

/** The perceptual hashes of images, and people's decisions about duplicates. */
export class PerceptualHashes {
  readonly #db: Database;
  readonly #changes: ChangeFeed;

  constructor(db: Database, changes: ChangeFeed) {
    this.#db = db;
    this.#changes = changes;
  }

  /** Stored files of these kinds whose appearance is not recorded yet, by name. */
  async missing(
    datasetId: string,
    { kinds, limit }: { kinds: readonly FileKind[]; limit: number },
  ): Promise<StoredFile[]> {
    const media = sql<FileRow>`
      select * from file where dataset_id = ${datasetId} and state = 'stored' and kind in (${sql.join(kinds)})
        and not exists (select 1 from perceptual_hash where ${IS_HASH_OF_FILE})
      order by filename limit ${limit}`;
    const [rows] = await this.#db.read([media]);
    return rows.map((row) => fileOf(row) as StoredFile);
  }

  /**
   * Records what stored files look like, `undefined` if they can't be decoded. Clips have no hash: those with the same first frame
   * may differ in all others.
   */
  async record(datasetId: string, found: ReadonlyMap<StoredFile, Appearance | undefined>): Promise<void> {
    if (found.size === 0) return;
    const updates = [...found].flatMap(([{ id, kind }, appearance]) => {
      const { hash: known = null, thumbhash = null } = appearance ?? {};
      const hash = kind === 'image' ? known : null;
      return [
        // The file may be removed meanwhile.
        sql`insert into perceptual_hash (blob_key, hash) select ${BLOB_KEY}, ${hash} from file where id = ${id}
          on conflict (blob_key) do nothing`,
        sql`update file set thumbhash = ${thumbhash} where id = ${id} and state = 'stored'`,
      ];
    });
    const version = sql`update dataset set version = version + 1 where id = ${datasetId}`;
    const announced = { datasetId, filenames: [...found.keys()].map(({ filename }) => filename) };
    await this.#underLock(datasetId, [...updates, version, ...this.#changes.notification(announced)]);
    this.#changes.announce(announced);
  }

  /** The lock keeps a change from writing rows that it has read before. */
  async #underLock(id: string, statements: readonly Statement[]): Promise<void> {
    const work = (_: unknown, { commit }: Transaction) => commit(statements);
    await withDataset(this.#db, { id, isDurable: false }, work);
  }

  /** All from one snapshot. */
  async comparable(datasetId: string): Promise<Comparable> {
    const isStored = sql`file.dataset_id = ${datasetId} and file.state = 'stored'`;
    const media = sql<MediaRow>`
      select filename, stem, kind, facts, size_bytes, sha256, finalized_at, perceptual_hash.*
      from file left join perceptual_hash on ${IS_HASH_OF_FILE}
      where ${isStored} and kind in ('image', 'video') and problem is null`;
    const captions = sql<{ stem: string }>`select stem from file where ${isStored} and kind = 'caption'`;
    const [rows, captionRows, decisions] = await this.#db.read([
      media,
      captions,
      query.selectFrom('different_files').select(['decision', 'sha256']).where('dataset_id', '=', datasetId),
    ]);
    const captioned = new Set(captionRows.map(({ stem }) => stem));
    const read = jsonReader();
    const pending = rows.filter(({ kind, blob_key }) => kind === 'image' && blob_key === null).length;
    return { files: rows.map((row) => comparedFileOf(row, { read, captioned })), pending, decisions };
  }

  /** Remembers that files differ from one another, or forgets it. */
  decide(
    datasetId: string,
    { decision, sha256s, areDifferent }: { decision: string; sha256s: readonly string[]; areDifferent: boolean },
  ): Promise<void> {
    const earlier = query.deleteFrom('different_files').where('dataset_id', '=', datasetId);
    const rows = areDifferent ? sha256s.map((sha256) => ({ dataset_id: datasetId, decision, sha256 })) : [];
    const statements = [earlier.where('decision', '=', decision), ...insertAll('different_files', rows)];
    return this.#underLock(datasetId, statements);
  }
}

function comparedFileOf(
  { filename, stem, facts, sha256, hash, ...row }: MediaRow,
  { read, captioned }: { read: ReadJson; captioned: ReadonlySet<string> },
): ComparedFile {
  const { width = 0, height = 0 } = read<{ width?: number; height?: number }>(facts);
  const known = { filename, sha256: sha256 ?? '', sizeBytes: row.size_bytes ?? 0, pixels: width * height, hash };
  return { ...known, hasCaption: captioned.has(stem), storedAt: row.finalized_at ?? 0 };
}
