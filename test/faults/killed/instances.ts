import { expect } from 'vitest';
import { blobKeyOf } from '../../../src/storage/blobs/blobs.js';
import { DELETED } from '../../../src/storage/catalog/statements.js';
import { onDatabase } from '../../harness/postgres.js';
import { keysBelow, type TestBucket } from '../../harness/s3.js';
import { discardServer, environmentOf, startServer, type TestServer, temporaryFolder } from '../../harness/server.js';
import { NOTHING_REMAINS, remainsIn } from '../remains.js';

/** `npm run faults -- killed --on postgres+s3`: another instance serves on while one is killed. */
const HAS_SURVIVOR = process.env.TRAINYARD_TEST_COMBINATION === 'postgres+s3';

/** The uploads and the work of a killed instance are free again after this time. */
const LEASES = HAS_SURVIVOR ? { 'lease-seconds': 10 } : {};

type Settings = Record<string, string | number>;

/** The instance that a test kills, and with Postgres and a bucket another one on the same installation. */
export class Instances {
  victim: TestServer;
  readonly survivor: TestServer | undefined;
  readonly #settings: Settings;

  private constructor(victim: TestServer, survivor: TestServer | undefined, settings: Settings) {
    this.victim = victim;
    this.survivor = survivor;
    this.#settings = settings;
  }

  static async start(settings: Settings): Promise<Instances> {
    const all = { ...settings, ...LEASES };
    const victim = await startServer(all, { dataFolder: await temporaryFolder() });
    const env = await environmentOf(victim.dataFolder);
    return new Instances(victim, HAS_SURVIVOR ? await startServer(all, { env }) : undefined, all);
  }

  /** Starts an instance in place of the one that was killed. */
  async restart(): Promise<void> {
    this.victim = await startServer(this.#settings, { dataFolder: this.victim.dataFolder });
  }

  /**
   * No temporary file, no bytes without a row, and no row without bytes is left. Captions that were being saved stay in the
   * trash for as long as that may take, and with Postgres what the killed instance was receiving until its lease ends.
   */
  async expectNothingRemains(): Promise<void> {
    const { dataFolder } = this.victim;
    const { DATABASE_URL: databaseUrl, BLOBS_URL: blobsUrl } = await environmentOf(dataFolder);
    if (databaseUrl === undefined || blobsUrl === undefined) {
      expect({ ...remainsIn(dataFolder), trash: [] }).toEqual(NOTHING_REMAINS);
      return;
    }
    const bucket = { keys: () => keysBelow(blobsUrl, '') };
    const at = { instances: this.all.map(({ url }) => url), databaseUrl, bucket };
    // The cleanup of the survivor may delete an object between the two looks.
    await expect.poll(async () => ({ ...(await unhealed(at)), trash: [], pending: [] })).toEqual(HEALED);
  }

  get all(): TestServer[] {
    return this.survivor === undefined ? [this.victim] : [this.victim, this.survivor];
  }

  async discard(): Promise<void> {
    if (this.survivor !== undefined) await discardServer(this.survivor);
    await discardServer(this.victim);
  }
}

/** Unfinished and orphaned things in Postgres and a bucket; all of it is empty once the service has healed. */
export interface Unhealed {
  readonly notReady: string[];
  /** Pending uploads. */
  readonly pending: string[];
  readonly trash: string[];
  /** Objects that neither a file, the history nor the trash names, and files without an object. */
  readonly strays: string[];
  readonly missing: string[];
}

export const HEALED: Unhealed = { notReady: [], pending: [], trash: [], strays: [], missing: [] };

/** @param at the addresses of the instances, the database and the bucket without injected faults */
export async function unhealed(at: {
  instances: readonly string[];
  databaseUrl: string;
  bucket: Pick<TestBucket, 'keys'>;
}): Promise<Unhealed> {
  const answers = await Promise.all(at.instances.map((instance) => fetch(`${instance}/readyz`)));
  // Objects before rows, so that an upload in flight does not count as an orphan.
  const keys = await at.bucket.keys();
  const queries = ['select * from file', 'select * from trash', 'select * from past_file', 'select * from dataset'];
  const [files, trash, past, datasets] = await onDatabase(at.databaseUrl, ...queries);
  const keyOf = (row: { id: string; dataset_id: string }) => blobKeyOf({ id: row.id, datasetId: row.dataset_id });
  const deleted = new Set(datasets!.rows.filter((row) => row.account_id === DELETED).map(({ id }) => id));
  const live = files!.rows.filter((row) => !deleted.has(row.dataset_id));
  const livePast = past!.rows.filter((row) => !deleted.has(row.dataset_id));
  const stored = [...live.filter(({ state }) => state === 'stored'), ...livePast].map(keyOf);
  const trashed: string[] = trash!.rows.map(({ blob_key }) => blob_key);
  const explained = new Set([...[...files!.rows, ...past!.rows].map(keyOf), ...trashed]);
  const there = new Set(keys);
  return {
    notReady: at.instances.filter((_, i) => answers[i]?.status !== 200),
    pending: live.filter(({ state }) => state === 'pending').map((row) => JSON.stringify(row)),
    trash: trash!.rows
      .filter(({ delete_after }) => Number(delete_after) <= Date.now() * 1000)
      .map((row) => row.blob_key),
    strays: keys.filter((key) => !explained.has(key.replace(/\.thumbnail$/, ''))),
    missing: stored.filter((key) => !there.has(key)),
  };
}
