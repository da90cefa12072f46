import { join } from 'node:path';
import { DatabaseSync, type DatabaseSyncInstance } from '@photostructure/sqlite';
import { tallyOf } from '../src/dataset/tally.js';
import { openMetadata } from '../src/storage/metadata.js';

/** Datasets to make: so many, each with so many images, and no fewer captions. */
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

const IMAGE_BYTES = 200_000;
const CAPTION_BYTES = 70;
/** Any moment in the past. */
const CREATED_AT = 1_750_000_000_000_000;

/**
 * Fills the catalog of a data folder that nobody serves with datasets that are READY, in bulk and past the service: half
 * a million uploads would take the better part of an hour. The bytes behind the files do not exist.
 *
 * @throws Error where the counts in the rows are not those that the service would have counted
 */
export async function fillCatalog(dataFolder: string, fillings: readonly Filling[]): Promise<Filled[]> {
  const metadata = await openMetadata({ dataFolder, blobGrace: 0 });
  const db = new DatabaseSync(join(dataFolder, 'catalog.sqlite'));
  try {
    const filled: Filled[] = [];
    for (const filling of fillings) {
      const { token } = await metadata.accounts.createToken(filling.account, CREATED_AT);
      const accountId = await metadata.accounts.accountOf(token);
      if (accountId === undefined) throw new Error('a fresh token speaks for nobody');
      const datasetIds = insert(db, accountId, filling);
      await proveTally(metadata.catalog, { accountId, id: datasetIds.at(-1)! });
      filled.push({ token, datasetIds });
    }
    return filled;
  } finally {
    db.close();
    await metadata.close();
  }
}

function insert(
  db: DatabaseSyncInstance,
  accountId: string,
  { account, datasets, images, captions }: Filling,
): string[] {
  const idOf = (i: number) => `${account}-${i}`;
  const bytes = images * IMAGE_BYTES + captions * CAPTION_BYTES;
  const addDataset = db.prepare(
    `insert into dataset (id, account_id, name, created_at, updated_at, pending, rejected, images, videos, captions,
      trainable, uncaptioned, collisions, bytes)
      values (?, ?, ?, ?, ?, 0, 0, ?, 0, ?, ?, 0, 0, ?)`,
  );
  const addFiles = (columns: {
    kind: string;
    count: number;
    extension: string;
    bytes: number;
    contentType: string;
    facts: object;
  }) =>
    db.prepare(
      `with recursive n(i) as (select 0 union all select i + 1 from n where i + 1 < ${columns.count})
      insert into file (id, dataset_id, filename, stem, kind, state, created_at, settled_at, size_bytes, sha256,
        content_type, facts, warnings)
      select lower(hex(randomblob(16))), ?1, 'image_' || i || '${columns.extension}', 'image_' || i, '${columns.kind}', 'stored',
        ?2, ?2, ${columns.bytes}, lower(hex(randomblob(32))), '${columns.contentType}', '${JSON.stringify(columns.facts)}', '[]' from n`,
    );
  const addImages = addFiles({
    kind: 'image',
    count: images,
    extension: '.jpg',
    bytes: IMAGE_BYTES,
    contentType: 'image/jpeg',
    facts: { kind: 'image', format: 'jpeg', width: 1024, height: 1024 },
  });
  const addCaptions = addFiles({
    kind: 'caption',
    count: captions,
    extension: '.txt',
    bytes: CAPTION_BYTES,
    contentType: 'text/plain; charset=utf-8',
    facts: { kind: 'caption', characters: CAPTION_BYTES },
  });
  db.exec('begin immediate');
  for (let i = 0; i < datasets; i++) {
    const at = CREATED_AT + i;
    addDataset.run(idOf(i), accountId, `${account} ${i}`, at, at, images, captions, images, bytes);
    addImages.run(idOf(i), at);
    addCaptions.run(idOf(i), at);
  }
  db.exec('commit');
  return Array.from({ length: datasets }, (_, i) => idOf(i));
}

type Catalog = Awaited<ReturnType<typeof openMetadata>>['catalog'];

async function proveTally(catalog: Catalog, key: { accountId: string; id: string }): Promise<void> {
  const dataset = await catalog.dataset(key);
  if (dataset === undefined) throw new Error(`${key.id} is not in the catalog`);
  const counted = tallyOf(await catalog.files(key.id), dataset.tally.lastActivity);
  const [kept, right] = [dataset.tally, counted].map((tally) => JSON.stringify(Object.entries(tally).sort()));
  if (kept !== right) throw new Error(`the counts of ${key.id} are wrong: ${kept} instead of ${right}`);
}
