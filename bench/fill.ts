import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import pg from 'pg';
import { datasetCountsOf } from '../test/harness/counts-of.js';
import { type OpenCatalog, openCatalog } from '../src/storage/catalog/open-catalog.js';

/** Datasets to create, each with this many images and captions. There are at least as many captions. */
export interface Filling {
  readonly account: string;
  readonly datasets: number;
  readonly images: number;
  readonly captions: number;
}

export interface Filled {
  readonly token: string;
  readonly datasetIds: readonly string[];
}

export const IMAGE_BYTES = 200_000;
export const CAPTION_BYTES = 70;
const IMAGE_FACTS = JSON.stringify({ kind: 'image', format: 'jpeg', width: 1024, height: 1024 });
const CAPTION_FACTS = JSON.stringify({ kind: 'caption', characters: CAPTION_BYTES });
/** Any time in the past. */
const CREATED_AT = 1_750_000_000_000_000;

/** A database for bulk inserts, without a server on it. */
interface Bulk {
  readonly run: (statement: string) => Promise<unknown>;
  /** An SQL expression for 32 random hexadecimal digits. */
  readonly hex: string;
  /** Builds indexes and statistics, as a database in use has them. */
  readonly finish: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/**
 * Fills a catalog with READY datasets by bulk inserts, since a million uploads would take hours. No server may use it. The
 * files have no bytes.
 *
 * @throws Error if the inserted counts differ from those that the service computes
 */
export async function fillCatalog(
  where: { dataFolder: string; databaseUrl?: string | undefined },
  fillings: readonly Filling[],
): Promise<Filled[]> {
  const metadata = await openCatalog({ ...where, blobGrace: 0 });
  const { dataFolder, databaseUrl } = where;
  const bulk = databaseUrl === undefined ? intoSqlite(dataFolder) : await intoPostgres(databaseUrl);
  try {
    const filled: (Filled & { accountId: string })[] = [];
    for (const filling of fillings) {
      const { token } = await metadata.accounts.createToken(filling.account, CREATED_AT);
      const accountId = (await metadata.accounts.grantOf(token))?.accountId;
      if (accountId === undefined) throw new Error('a new token has no account');
      const datasetIds = Array.from({ length: filling.datasets }, (_, i) => `${filling.account}-${i}`);
      filled.push({ token, datasetIds, accountId });
    }
    await bulk.run('begin');
    for (const [i, filling] of fillings.entries()) {
      await bulk.run(insertDatasets(filling, filled[i]!.accountId));
      await bulk.run(insertFiles(filling, bulk.hex));
    }
    await bulk.run('commit');
    await bulk.finish();
    for (const { accountId, datasetIds } of filled) await checkCounts(metadata, { accountId, id: datasetIds.at(-1)! });
    return filled;
  } finally {
    await bulk.close();
    await metadata.close();
  }
}

function intoSqlite(dataFolder: string): Bulk {
  const db = new DatabaseSync(join(dataFolder, 'catalog.sqlite'));
  return {
    run: async (statement) => db.exec(statement),
    hex: 'lower(hex(randomblob(16)))',
    finish: async () => {},
    close: async () => db.close(),
  };
}

/** The indexes of the table `file`. Building them after a million inserts is much faster than updating them. */
const FILE_INDEXES = ['file_stem', 'file_finalized'];

async function intoPostgres(url: string): Promise<Bulk> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const named = await client.query('select indexdef from pg_indexes where indexname = any($1)', [FILE_INDEXES]);
  if (named.rows.length !== FILE_INDEXES.length)
    throw new Error(`one of the indexes ${FILE_INDEXES.join(', ')} does not exist`);
  await client.query(`drop index ${FILE_INDEXES.join(', ')}`);
  // Skips a million checks of the foreign key from files to datasets.
  await client.query('set session_replication_role = replica');
  return {
    run: (statement) => client.query(statement),
    hex: 'md5(random()::text)',
    finish: async () => {
      await client.query(`set maintenance_work_mem = '256MB'`);
      for (const { indexdef } of named.rows) await client.query(indexdef);
      // Now, so that autovacuum does not start during a measurement.
      await client.query('vacuum (analyze)');
      await client.query('checkpoint');
    },
    close: () => client.end(),
  };
}

/** Both databases accept these statements. */
const numbers = (count: number) =>
  `with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < ${count})`;

function insertDatasets({ account, datasets, images, captions }: Filling, accountId: string): string {
  const bytes = images * IMAGE_BYTES + captions * CAPTION_BYTES;
  return `insert into dataset (id, account_id, name, created_at, updated_at, pending, rejected, images, videos, captions,
      trainable, uncaptioned, collisions, bytes)
    ${numbers(datasets)}
    select '${account}-' || i, '${accountId}', '${account} ' || i, ${CREATED_AT} + i, ${CREATED_AT} + i, 0, 0, ${images}, 0,
      ${captions}, ${images}, 0, 0, ${bytes}
    from n`;
}

function insertFiles({ account, datasets, images, captions }: Filling, hex: string): string {
  return `insert into file (id, dataset_id, filename, stem, kind, state, created_at, finalized_at, size_bytes, sha256,
      content_type, facts, warnings)
    ${numbers(Math.max(datasets, images, captions))}, f(j, extension, kind, bytes, type, facts) as (
      select i, '.jpg', 'image', ${IMAGE_BYTES}, 'image/jpeg', '${IMAGE_FACTS}' from n where i < ${images}
      union all
      select i, '.txt', 'caption', ${CAPTION_BYTES}, 'text/plain; charset=utf-8', '${CAPTION_FACTS}' from n
      where i < ${captions})
    select ${hex}, '${account}-' || i, 'image_' || j || extension, 'image_' || j, kind, 'stored', ${CREATED_AT} + i,
      ${CREATED_AT} + i, bytes, ${hex} || ${hex}, type, facts, '[]'
    from n cross join f where i < ${datasets} order by i`;
}

async function checkCounts({ catalog }: OpenCatalog, key: { accountId: string; id: string }): Promise<void> {
  const dataset = await catalog.dataset(key);
  if (dataset === undefined) throw new Error(`${key.id} is not in the catalog`);
  const counted = datasetCountsOf(await catalog.files(key.id), dataset.counts.lastActivity);
  const [inserted, expected] = [dataset.counts, counted].map((counts) => JSON.stringify(Object.entries(counts).sort()));
  if (inserted !== expected) throw new Error(`the counts of ${key.id} are wrong: ${inserted} instead of ${expected}`);
}
