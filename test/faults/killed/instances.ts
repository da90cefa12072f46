import { expect } from 'vitest';
import { keysBelow } from '../../harness/s3.js';
import { discardServer, environmentOf, startServer, type TestServer, temporaryFolder } from '../../harness/server.js';
import { HEALED, unhealed } from '../acknowledged.js';
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
