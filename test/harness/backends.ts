import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, onTestFinished } from 'vitest';
import type { BlobStore, StagedObject } from '../../src/storage/blobs/blobs.js';
import { DiskBlobs } from '../../src/storage/blobs/disk/disk-blobs.js';
import { parseS3Url } from '../../src/storage/blobs/s3/location.js';
import type { S3Credentials, Timeouts } from '../../src/storage/blobs/s3/connection.js';
import { type Log, S3Blobs } from '../../src/storage/blobs/s3/s3-blobs.js';
import { Accounts } from '../../src/storage/catalog/accounts.js';
import { Catalog } from '../../src/storage/catalog/catalog.js';
import { pruneHistory } from '../../src/storage/catalog/history/retention.js';
import type { Database } from '../../src/storage/database/database.js';
import { openPostgres } from '../../src/storage/database/postgres.js';
import { openSqlite } from '../../src/storage/database/sqlite.js';
import { whyNoPostgres, whyNoS3 } from './available.js';
import { databaseForTest } from './postgres.js';
import { linkCredentials, needsS3, newBucket, type TestBucket } from './s3.js';
import { newRoot } from './mounting.js';

/** Opens a real, empty backend for one test; it is closed and removed with the test. */
export interface Backend<T> {
  readonly name: string;
  readonly open: () => Promise<T>;
  /** Why this machine has none. */
  readonly leftOut?: string | undefined;
  /** Starts it, once for each test file. */
  readonly prepare?: () => void;
}

/** @returns its version */
export async function storeBlob(blobs: BlobStore, key: string, bytes: Uint8Array): Promise<string | null> {
  const limit = { bytes: bytes.length, message: '' };
  const staged = await blobs.stage(Readable.from([bytes]), { key, limit, signal: new AbortController().signal });
  return (await staged.commit()).version;
}

/** The subject of a catalog test. */
interface CatalogForTest {
  readonly catalog: Catalog;
  readonly accounts: Accounts;
  readonly accountId: string;
  readonly database: Database;
  /** Opens the database again, as another process does. */
  readonly openAnother: () => Promise<{ catalog: Catalog; database: Database }>;
  /** Deletes all revisions but the latest ones, so that blobs of the history go to the trash. */
  readonly endHistory: (now: number) => Promise<void>;
}

/** Every database that the catalog runs on. */
export const catalogs: readonly Backend<CatalogForTest>[] = [
  { name: 'SQLite', open: async () => catalogOver(openSqlite, join(await newRoot(), 'catalog.sqlite')) },
  { name: 'Postgres', leftOut: whyNoPostgres(), open: async () => catalogOver(openPostgres, await databaseForTest()) },
];

export async function catalogOver(open: (place: string) => Promise<Database>, place: string) {
  const openAnother = async () => {
    const database = await open(place);
    onTestFinished(() => database.close());
    return { catalog: new Catalog(database, { blobGrace: 1000 }), database };
  };
  const { catalog, database } = await openAnother();
  const accounts = new Accounts(database);
  const { token } = await accounts.createToken('tester', 1);
  const accountId = (await accounts.grantOf(token))!.accountId;
  const retention = { lifetime: 0, maxBytes: Number.MAX_SAFE_INTEGER, blobGrace: 1000 };
  const endHistory = (now: number) => pruneHistory(database, { ...retention, now });
  return { catalog, accounts, accountId, database, openAnother, endHistory };
}

/** Every blob store. `keys` lists what the store holds, half-received bytes included. */
export const blobStores: readonly Backend<{ blobs: BlobStore; keys: () => Promise<string[]> }>[] = [
  {
    name: 'disk',
    open: async () => {
      const { folder, blobs } = await openDisk();
      return { blobs, keys: () => filesBelow(folder) };
    },
  },
  {
    name: 'S3',
    leftOut: whyNoS3(),
    prepare: needsS3,
    open: async () => {
      const { blobs, bucket, spoolFolder } = await openS3();
      const keys = async () => {
        const spooled = (await filesBelow(spoolFolder)).filter((name) => !name.includes('.lock'));
        return [...(await bucket.keys()), ...spooled].map((key) => basename(key));
      };
      return { blobs, keys };
    },
  },
];

/** A store in an empty folder. */
export async function openDisk(): Promise<{ folder: string; blobs: DiskBlobs }> {
  const folder = await newRoot();
  const blobs = await DiskBlobs.open(folder);
  onTestFinished(() => blobs.close());
  return { folder, blobs };
}

/** A store below an unused prefix of the bucket. */
export async function openS3({
  spoolBytes = 250_000_000,
  parameters,
  below,
  ...rest
}: {
  spoolBytes?: number;
  below?: string;
  parameters?: Record<string, string>;
  timeouts?: Timeouts;
  linkCredentials?: S3Credentials | undefined;
  log?: Log;
} = {}): Promise<{ blobs: S3Blobs; bucket: TestBucket; spoolFolder: string }> {
  const bucket = newBucket();
  const spoolFolder = await newRoot();
  const location = parseS3Url(bucket.url(parameters, below));
  const defaults = { spoolFolder, spoolBytes, log: () => {}, linkCredentials: linkCredentials() };
  const blobs = await S3Blobs.open(location, { ...defaults, ...rest });
  onTestFinished(() => blobs.close());
  return { blobs, bucket, spoolFolder };
}

/** What clients have written through links, for blobs of a dataset or of all. */
export async function stagedIn({ staging }: BlobStore, datasetId?: string): Promise<StagedObject[]> {
  const found: StagedObject[] = [];
  for await (const page of staging?.list(datasetId) ?? []) found.push(...page);
  return found;
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name)
    .sort();
}

/** A suite for S3 alone, skipped with the reason where there is none. */
export function onS3(suite: () => void): void {
  onEach([{ name: 'S3', leftOut: whyNoS3(), prepare: needsS3, open: openS3 }], suite);
}

/** A suite over the catalog on SQLite; on Postgres, where it only repeats the proof on the same statements, it is `long`. */
export function onCatalogs(suite: (open: () => Promise<CatalogForTest>) => void): void {
  onEach(catalogs, suite, { othersAreLong: true });
}

/** One suite over every backend, skipped with the reason for a backend that is not available. */
export function onEach<T>(
  backends: readonly Backend<T>[],
  suite: (open: () => Promise<T>) => void,
  { othersAreLong = false } = {},
): void {
  for (const [i, { name, open, leftOut, prepare }] of backends.entries()) {
    const title = leftOut === undefined ? `on ${name}` : `on ${name}, left out: ${leftOut}`;
    const tags = othersAreLong && i > 0 ? ['long'] : [];
    describe.skipIf(leftOut !== undefined)(title, { tags }, () => {
      prepare?.();
      suite(open);
    });
  }
}
