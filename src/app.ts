import { randomBytes, randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { Config } from './config.js';
import { Metrics } from './server/metrics.js';
import { createServer } from './server/server.js';
import { DatasetService } from './service/datasets.js';
import type { ServiceDependencies } from './service/dependencies.js';
import { Downloads } from './service/download/downloads.js';
import { ReadLinks } from './service/download/read-links.js';
import { InspectionPool } from './service/inspection/inspection-pool.js';
import { MountRoot } from './service/mount/mount-root.js';
import { runPeriodically } from './service/run-periodically.js';
import { cleanUp } from './service/upload/cleanup.js';
import { PresignedUploads } from './service/upload/presigned-uploads.js';
import { UploadLinks } from './service/upload/upload-links.js';
import { Uploads } from './service/upload/uploads.js';
import { watchAccount } from './service/watch/watch-account.js';
import { watchDataset } from './service/watch/watch-dataset.js';
import { openCatalog } from './storage/catalog/open-catalog.js';
import { dataFolderPaths, makePrivateFolder } from './storage/data-folder.js';
import { lockFolder } from './storage/folder-lock.js';
import { openBlobs } from './storage/open-blobs.js';
import { packageVersion } from './version.js';

const LONGEST_SWEEP_PAUSE_MS = 30_000;
const LOOK_PAUSE_MS = 2000;
const THUMBNAIL_PIXELS = 320;

/**
 * A whole serving process over a data folder, listening once it returns.
 *
 * @throws FolderInUse where another process serves the folder, BackendUnusable where its bucket can't be used
 */
export async function openApp(config: Config, logger: Logger) {
  await makePrivateFolder(config.dataFolder);
  // What this process alone may have: the catalog, or the blobs, or both. With both elsewhere others may serve beside it.
  const isCatalogHere = config.databaseUrl === undefined;
  const isShared = !isCatalogHere && config.blobs.kind !== 'disk';
  const lock = isShared ? undefined : lockFolder(dataFolderPaths(config.dataFolder).lock);
  const metadata = await openCatalog(config);
  const blobs = await openBlobs(config, (level, facts, message) => logger[level](facts, message));
  const pool = new InspectionPool((err) => logger.error({ err }, 'an inspection worker died'));
  const { catalog, accounts, now } = metadata;
  const metrics = new Metrics(() => pool.queuedFiles);
  const core: ServiceDependencies = {
    catalog,
    blobs,
    now,
    rules: config.rules,
    inspect: (file, signal) => pool.inspect(file, signal),
    newId: () => randomUUID().replaceAll('-', ''),
  };
  const { presigning } = blobs;
  const arrivals =
    presigning &&
    new PresignedUploads(core, {
      presigning,
      onFinalized: (sizeBytes) => metrics.uploaded('presigned', sizeBytes),
      onRejected: () => metrics.rejected('presigned'),
      onError: (err, what) => logger.warn({ err }, `${what} and will be tried again`),
    });
  const dependencies =
    arrivals === undefined ? core : { ...core, pollPresignedUploads: (id: string) => arrivals.poll(id) };
  // With the catalog in the folder that this process holds, nobody else can be taking anything in; another process on the
  // same database may.
  await cleanUp(dependencies, { everything: isCatalogHere });
  const uploads = new Uploads(dependencies);
  const linkSecret = await catalog.setting('link-key', () => randomBytes(32).toString('base64'));
  const linkKey = Buffer.from(linkSecret, 'base64');
  const server = await createServer(
    {
      accounts,
      now,
      datasets: new DatasetService(dependencies),
      uploads,
      downloads: new Downloads(dependencies, (path) => pool.thumbnail(path, THUMBNAIL_PIXELS)),
      links: new UploadLinks(linkKey, presigning),
      readLinks: new ReadLinks(linkKey),
      watch: (key, signal) => watchDataset(dependencies, key, signal),
      watchAccount: (accountId, signal) => watchAccount(dependencies, accountId, signal),
      checkReady: async () => {
        await Promise.all([catalog.ping(), blobs.ping()]);
      },
      metrics,
    },
    {
      logger,
      publicUrl: config.publicUrl,
      trustedProxies: config.trustedProxies,
      timeouts: config.timeouts,
      version: packageVersion(),
      uploadOrigin: presigning?.origin,
    },
  );
  const { mountRoot: root, dataFolder } = config;
  const mountRoot = root === undefined ? undefined : new MountRoot(dependencies, { root, dataFolder, log: logger });
  await server.listen({ host: config.host, port: config.port });

  mountRoot?.start();
  // An upload whose process died is ended one lease later, and half of one at most.
  const stopSweeping = runPeriodically(() => cleanUp(dependencies, { isReceiving: (id) => uploads.isReceiving(id) }), {
    pauseMs: Math.min(LONGEST_SWEEP_PAUSE_MS, config.rules.leaseDuration / 1000 / 2),
    onError: (err) => logger.error({ err }, 'the sweep failed and will be tried again'),
  });
  const stopLooking =
    arrivals &&
    runPeriodically(() => arrivals.pollAll(), {
      pauseMs: LOOK_PAUSE_MS,
      onError: (err) => logger.error({ err }, 'looking for uploads failed and will be tried again'),
    });

  /** Turns new requests away, lets those in flight finish for `stopSeconds`, then closes everything. */
  const stop = async () => {
    const stopMs = config.stopSeconds * 1000;
    const cutOff = setTimeout(() => server.server.closeAllConnections(), stopMs);
    await Promise.all([server.drain(stopMs), mountRoot?.stop()]);
    await server.close();
    clearTimeout(cutOff);
    await Promise.all([stopSweeping(), stopLooking?.(), arrivals?.stop()]);
    await pool.close();
    await blobs.close();
    await metadata.close();
    lock?.release();
  };
  const [address] = server.addresses();
  const port = typeof address === 'object' ? address.port : config.port;
  return { accounts, now, port, databaseName: metadata.databaseName, stop };
}
