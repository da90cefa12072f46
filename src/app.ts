import { randomBytes, randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Config } from './config.js';
import { createServer } from './http/server.js';
import { InspectionPool } from './service/inspection-pool.js';
import { MountRoot } from './service/mount-root.js';
import type { ServiceParts } from './service/parts.js';
import { Reading } from './service/reading.js';
import { DatasetService } from './service/service.js';
import { sweep } from './service/sweep.js';
import { UploadLinks } from './service/upload-link.js';
import { Uploads } from './service/uploads.js';
import { watchDataset } from './service/watch.js';
import { lockFolder } from './storage/folder-lock.js';
import { openMetadata } from './storage/metadata.js';
import { openBlobs } from './storage/open-blobs.js';
import { packageVersion } from './version.js';

const LONGEST_SWEEP_INTERVAL_MS = 30_000;
const THUMBNAIL_PIXELS = 320;

/** Makes the data folder where it is missing; nobody else on the machine may look into it. */
async function makeFolder(path: string): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 });
}

/**
 * A whole serving process over a data folder, listening once it returns.
 *
 * @throws FolderInUse where another process serves the folder, StoreUnusable where its bucket can't be used
 */
export async function openApp(config: Config, logger: Logger) {
  await makeFolder(config.dataFolder);
  const lock = lockFolder(join(config.dataFolder, 'serving.lock'));
  const metadata = await openMetadata(config);
  const blobs = await openBlobs(config, (level, facts, message) => logger[level](facts, message));
  const pool = new InspectionPool((err) => logger.error({ err }, 'an inspection worker died'));
  const { catalog, accounts, now } = metadata;
  const parts: ServiceParts = {
    catalog,
    blobs,
    now,
    rules: config.rules,
    inspect: (file, signal) => pool.inspect(file, signal),
    newId: () => randomUUID().replaceAll('-', ''),
  };
  // With the catalog in the folder that this process holds, nobody else can be taking anything in; another process on the
  // same database may.
  await sweep(parts, { everything: config.databaseUrl === undefined });
  const uploads = new Uploads(parts);
  const linkKey = await catalog.setting('link-key', () => randomBytes(32).toString('base64'));
  const server = await createServer(
    {
      accounts,
      now,
      datasets: new DatasetService(parts),
      uploads,
      reading: new Reading(parts, (path) => pool.thumbnail(path, THUMBNAIL_PIXELS)),
      links: new UploadLinks(Buffer.from(linkKey, 'base64')),
      watch: (key, signal) => watchDataset(parts, key, signal),
      checkReady: async () => {
        await Promise.all([catalog.ping(), blobs.ping()]);
      },
      inspectionLoad: () => pool.load,
    },
    {
      logger,
      publicUrl: config.publicUrl,
      trustedProxies: config.trustedProxies,
      times: config.times,
      version: packageVersion(),
    },
  );
  const { mountRoot: root, dataFolder } = config;
  const mountRoot = root === undefined ? undefined : new MountRoot(parts, { root, dataFolder, log: logger });
  await server.listen({ host: config.host, port: config.port });

  mountRoot?.start();
  let sweeping: Promise<void> = Promise.resolve();
  // An upload whose process died is ended one lease later, and half of one at most.
  const sweepIntervalMs = Math.min(LONGEST_SWEEP_INTERVAL_MS, config.rules.lease / 1000 / 2);
  const sweeper = setInterval(() => {
    sweeping = sweep(parts, { isArrivingHere: (id) => uploads.isArriving(id) }).catch((err) =>
      logger.error({ err }, 'the sweep failed and will be tried again'),
    );
  }, sweepIntervalMs);

  /** Turns new requests away, lets those in flight finish for `stopSeconds`, then closes everything. */
  const stop = async () => {
    clearInterval(sweeper);
    server.beginStopping();
    const cutOff = setTimeout(() => server.server.closeAllConnections(), config.stopSeconds * 1000);
    await mountRoot?.stop();
    await server.close();
    clearTimeout(cutOff);
    await sweeping;
    await pool.close();
    await blobs.close();
    await metadata.close();
    lock.release();
  };
  const [address] = server.addresses();
  const port = typeof address === 'object' ? address.port : config.port;
  return { accounts, now, port, databaseName: metadata.databaseName, stop };
}
