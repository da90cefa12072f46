import { randomBytes, randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { Config } from './config.js';
import { Metrics } from './server/metrics.js';
import { createServer } from './server/server.js';
import { BackgroundChecks } from './service/check/background-checks.js';
import { BackgroundRechecks } from './service/check/background-rechecks.js';
import { RecheckService } from './service/check/recheck-service.js';
import { DatasetService } from './service/datasets.js';
import type { ServiceDependencies } from './service/dependencies.js';
import { Downloads } from './service/download/downloads.js';
import { ReadLinks } from './service/download/read-links.js';
import { clipDecoder } from './service/inspection/clip/decode-clip.js';
import { expectedDecodeSeconds } from './service/inspection/clip/expected-decode.js';
import { ffmpegSentence, findFfmpeg } from './service/inspection/clip/ffmpeg.js';
import { InspectionPool } from './service/inspection/inspection-pool.js';
import { ProcessEnded } from './service/inspection/inspection-process.js';
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

const MAX_CLEANUP_PAUSE_MS = 30_000;
const POLL_PAUSE_MS = 2000;
const THUMBNAIL_PIXELS = 320;

/** How long inspections in flight may take to finish after SIGTERM. Their clients then send the files again. */
const MAX_INSPECTION_STOP_MS = 2000;

/**
 * Starts the server and its background work. The server listens when this resolves.
 *
 * @throws FolderInUse if another process serves the folder, BackendUnusable if the database, the bucket or the ffmpeg that a
 * setting names can't be used
 */
export async function openApp(config: Config, logger: Logger) {
  // Loading its libraries takes a while, so it is found while the catalog is opened.
  const findingFfmpeg = findFfmpeg(config.ffmpeg);
  findingFfmpeg.catch(() => {});
  await makePrivateFolder(config.dataFolder);
  // One process serves a data folder that holds the catalog or the blobs. With both remote, several instances may serve.
  const isCatalogLocal = config.databaseUrl === undefined;
  const isShared = !isCatalogLocal && config.blobs.kind !== 'disk';
  const lock = isShared ? undefined : lockFolder(dataFolderPaths(config.dataFolder).lock);
  const openedCatalog = await openCatalog(config);
  const blobs = await openBlobs(config, (level, facts, message) => logger[level](facts, message));
  const pool = new InspectionPool({
    processes: config.inspectionProcesses,
    onError: (err) => {
      if (err instanceof ProcessEnded) {
        logger.warn({ reason: err.reason, detail: err.message }, 'a file ended its inspection process');
      } else logger.error({ err }, 'an inspection process could not be started');
    },
  });
  const ffmpeg = await findingFfmpeg;
  const isMissing = ffmpeg === undefined && config.ffmpeg.kind !== 'none';
  logger[isMissing ? 'warn' : 'info']({ ffmpeg: ffmpeg ?? null }, ffmpegSentence(ffmpeg, config.ffmpeg));
  const { catalog, accounts, rechecks, now } = openedCatalog;
  const metrics = new Metrics(() => pool.queuedFiles);
  const core: ServiceDependencies = {
    catalog,
    blobs,
    now,
    rules: config.rules,
    inspect: (file, options) => pool.inspect(file, options),
    ...(ffmpeg && {
      decodeClip: clipDecoder(ffmpeg, { runInSlot: (request, work) => pool.runInSlot(request, work) }),
      expectedDecodeSeconds,
    }),
    newId: () => randomUUID().replaceAll('-', ''),
    checkReceived: () => checks.wake(),
  };
  const checks = new BackgroundChecks(core, {
    isAlone: isCatalogLocal,
    onChecked: ({ filename, datasetId }, inspection) => {
      const facts = { filename, dataset: datasetId, ...(!inspection.ok && { problem: inspection.problem.code }) };
      logger.info(facts, 'checked a file in the background');
    },
    onError: (err, failure) => logger.warn({ err }, `${failure}; it will be retried`),
  });
  const backgroundRechecks = new BackgroundRechecks(core, {
    rechecks,
    isAlone: isCatalogLocal,
    onFinished: ({ datasetId, checked }) => logger.info({ dataset: datasetId, files: checked }, 'rechecked a dataset'),
    onError: (err, failure) => logger.warn({ err }, `${failure}; it will be retried`),
  });
  const { presigning } = blobs;
  const presignedUploads =
    presigning &&
    new PresignedUploads(core, {
      presigning,
      onFinalized: (sizeBytes) => metrics.uploaded('presigned', sizeBytes),
      onRejected: () => metrics.rejected('presigned'),
      onError: (err, failure) => logger.warn({ err }, `${failure}; it will be retried`),
    });
  const pollPresignedUploads = presignedUploads && ((id: string) => presignedUploads.poll(id));
  const dependencies = { ...core, ...(pollPresignedUploads && { pollPresignedUploads }) };
  // Only this process uses a local catalog, so every lease in it is from an earlier process. A Postgres catalog may hold
  // live leases of other instances.
  await cleanUp(dependencies, { everything: isCatalogLocal });
  const uploads = new Uploads(dependencies);
  const linkKey = Buffer.from(await catalog.setting('link-key', () => randomBytes(32).toString('base64')), 'base64');
  const server = await createServer(
    {
      accounts,
      now,
      datasets: new DatasetService(dependencies),
      uploads,
      downloads: new Downloads(dependencies, (image, options) =>
        pool.thumbnail({ ...image, maxPixels: THUMBNAIL_PIXELS }, options),
      ),
      rechecks: new RecheckService(core, { rechecks, onStarted: () => backgroundRechecks.wake() }),
      links: new UploadLinks(linkKey, presigning),
      readLinks: new ReadLinks(linkKey),
      watchDataset: (key, signal) => watchDataset(dependencies, key, signal),
      watchAccount: (accountId, signal) => watchAccount(dependencies, accountId, signal),
      checkReady: async () => {
        await Promise.all([catalog.ping(), blobs.ping()]);
      },
      metrics,
      ffmpeg,
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
  checks.start();
  backgroundRechecks.start();
  // The lease of an upload whose process died is released at most 1.5 lease durations later.
  const stopCleanup = runPeriodically(() => cleanUp(dependencies, { isReceiving: (id) => uploads.isReceiving(id) }), {
    pauseMs: Math.min(MAX_CLEANUP_PAUSE_MS, config.rules.leaseDuration / 1000 / 2),
    onError: (err) => logger.error({ err }, 'the cleanup failed; it will be retried'),
  });
  const stopPolling =
    presignedUploads &&
    runPeriodically(() => presignedUploads.pollAll(), {
      pauseMs: POLL_PAUSE_MS,
      onError: (err) => logger.error({ err }, 'polling the store for presigned uploads failed; it will be retried'),
    });

  /** Rejects new requests, gives those in flight `stopSeconds` to finish, then closes everything. */
  const stop = async () => {
    const stopMs = config.stopSeconds * 1000;
    const timer = setTimeout(() => server.server.closeAllConnections(), stopMs);
    const inspectionTimer = setTimeout(() => pool.close(), Math.min(stopMs, MAX_INSPECTION_STOP_MS));
    await Promise.all([server.drain(stopMs), mountRoot?.stop(), checks.stop(), backgroundRechecks.stop()]);
    await server.close();
    clearTimeout(timer);
    clearTimeout(inspectionTimer);
    await Promise.all([stopCleanup(), stopPolling?.(), presignedUploads?.stop()]);
    await pool.close();
    await blobs.close();
    await openedCatalog.close();
    lock?.release();
  };
  const [address] = server.addresses();
  const port = typeof address === 'object' ? address.port : config.port;
  return { accounts, now, port, databaseName: openedCatalog.databaseName, stop };
}
