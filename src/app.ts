import { randomBytes, randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { Config } from './config.js';
import { recordPresignedUpload } from './server/audit.js';
import { AuditLog } from './service/audit/audit-log.js';
import { Metrics } from './server/metrics.js';
import { createServer } from './server/server.js';
import { datasetToWire } from './server/to-wire.js';
import { sessionCookieName } from './server/session/cookie.js';
import { BackgroundChecks } from './service/check/background-checks.js';
import { BulkRemovals } from './service/bulk/bulk-removals.js';
import { CaptionWrites } from './service/bulk/caption-writes.js';
import { BackgroundRechecks } from './service/check/background-rechecks.js';
import { RecheckService } from './service/check/recheck-service.js';
import { DatasetService } from './service/datasets.js';
import type { ServiceDependencies } from './service/dependencies.js';
import { Downloads } from './service/download/downloads.js';
import { ReadLinks } from './service/download/read-links.js';
import { Thumbnails } from './service/download/thumbnails.js';
import { HistoryService } from './service/history/history-service.js';
import { clipDecoder } from './service/inspection/clip/decode-clip.js';
import { ffmpegSentence, findFfmpeg } from './service/inspection/clip/ffmpeg.js';
import { InspectionPool, jobSlotsOf } from './service/inspection/inspection-pool.js';
import { ProcessEnded } from './service/inspection/inspection-process.js';
import { JobRunner } from './service/jobs/job-runner.js';
import { pruneTokensJob } from './service/jobs/prune-tokens-job.js';
import { Quota } from './service/limits/quota.js';
import { MountArchives } from './service/mount/mount-archive.js';
import { MountRoot } from './service/mount/mount-root.js';
import { PairService } from './service/pair-service.js';
import { startPeriodicWork } from './service/periodic-work.js';
import { requireOwnCatalog } from './service/store-check/require-own-catalog.js';
import { releaseLeases } from './service/upload/cleanup.js';
import { PresignedUploads } from './service/upload/presigned-uploads.js';
import { UploadLinks } from './service/upload/upload-links.js';
import { Uploads } from './service/upload/uploads.js';
import { AccountWatches } from './service/watch/account-watches.js';
import { watchDataset } from './service/watch/watch-dataset.js';
import { openWebhooks } from './service/webhooks/open-webhooks.js';
import { BlobsNotDeleted, type BlobStore } from './storage/blobs/blobs.js';
import type { Catalog } from './storage/catalog/catalog.js';
import { Retention } from './storage/catalog/history/retention.js';
import { installationSetting } from './storage/catalog/installation-setting.js';
import { openCatalog } from './storage/catalog/open-catalog.js';
import { dataFolderPaths, makePrivateFolder } from './storage/data-folder.js';
import { lockFolder } from './storage/folder-lock.js';
import { openBlobs } from './storage/open-blobs.js';
import { packageVersion } from './version.js';

const THUMBNAIL_PIXELS = 320;

/** So that some images are read and hashed while others are decoded. */
const THUMBNAILS_PER_PROCESS = 2;

/** How long an inspection may take after SIGTERM, or after its file has arrived. Its client then sends the file again. */
const MAX_INSPECTION_STOP_MS = 5000;

/** For uploads that are cut off at the end of `stopSeconds`, to remove what they have stored. */
const CUT_OFF_MS = 1000;

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
  const onWarning = (message: string) => logger.warn(message);
  const openedCatalog = await openCatalog(
    { ...config, accountLimits: { ...config.limits.account, datasetFiles: config.limits.maxDatasetFiles } },
    { onWarning },
  );
  const blobs = await openBlobs(config, (level, facts, message) => logger[level](facts, message));
  await requireOwnCatalog(openedCatalog.database, config);
  const pool = openPool(config, logger);
  const ffmpeg = await findingFfmpeg;
  const isMissing = ffmpeg === undefined && config.ffmpeg.kind !== 'none';
  logger[isMissing ? 'warn' : 'info']({ ffmpeg: ffmpeg ?? null }, ffmpegSentence(ffmpeg, config.ffmpeg));
  const { catalog, accounts, sessions, rechecks, jobs, database, now, machineTime } = openedCatalog;
  const uploadQuota = new Quota({
    ofAccount: config.limits.accountUploads,
    what: 'uploads in flight (--account-uploads)',
    accountError: 'too_many_uploads',
  });
  const metrics = new Metrics();
  const auditLog = config.auditLog === undefined ? undefined : await openAuditLog(config.auditLog, { logger, metrics });
  metrics.gauge('trainyard_inspections', 'Files being inspected or waiting for it.', () => pool.queuedFiles);
  metrics.gauge('trainyard_uploads_in_flight', 'Uploads that this process is receiving.', () => uploadQuota.held);
  metrics.limit('inspectionProcesses', pool.size);
  metrics.limit('maxFileBytes', config.rules.maxLinkBytes);
  const core: ServiceDependencies = {
    catalog,
    blobs,
    jobs,
    now,
    rules: config.rules,
    inspect: (file, options) => pool.inspect(file, options),
    ...(ffmpeg && {
      decodeClip: clipDecoder(ffmpeg, { runInSlot: (request, work) => pool.runInSlot(request, work) }),
    }),
    newId: () => randomUUID().replaceAll('-', ''),
    checkReceived: () => checks.wake(),
    wakeRechecks: () => backgroundRechecks.wake(),
  };
  const checks = new BackgroundChecks(core, {
    isAlone: isCatalogLocal,
    ofAccount: jobSlotsOf(pool.size),
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
  // Also if links are no longer presigned: clients may still hold earlier ones.
  const listObjects = blobs.listObjects?.bind(blobs) ?? (await noObjects(catalog));
  const presignedUploads =
    listObjects &&
    new PresignedUploads(core, {
      listObjects,
      onFinalized: (file, sizeBytes) => {
        metrics.uploaded('presigned', sizeBytes);
        recordPresignedUpload(auditLog, file, { now: now() });
      },
      onRejected: (file, message) => {
        const { filename, datasetId } = file;
        metrics.rejected('presigned');
        recordPresignedUpload(auditLog, file, { now: now(), error: 'invalid_content' });
        logger.warn({ filename, dataset: datasetId }, `rejected an upload through a link to the bucket: ${message}`);
      },
      onError: (err, failure) => logger.warn({ err }, `${failure}; it will be retried`),
    });
  const pollPresignedUploads = presignedUploads && ((id: string) => presignedUploads.poll(id));
  const dependencies = { ...core, ...(pollPresignedUploads && { pollPresignedUploads }) };
  // So that uploads which an earlier process was receiving can be sent again at once. Only this process uses a local catalog; a
  // Postgres catalog may hold live leases of other instances.
  await releaseLeases(dependencies, { isLiveToo: isCatalogLocal }).catch((err) => {
    if (!(err instanceof BlobsNotDeleted)) throw err;
    logger.warn({ err }, 'what unfinished uploads left could not be removed; it will be retried');
  });
  const retention = new Retention(openedCatalog.database, {
    rules: config.history,
    maxBytes: config.limits.account.bytes,
    blobGrace: config.blobGrace,
  });
  const uploads = new Uploads(dependencies, uploadQuota);
  const makeLinkKey = () => randomBytes(32).toString('base64');
  const { query } = openedCatalog.database;
  const linkKey = Buffer.from(await installationSetting(query, 'link-key', makeLinkKey), 'base64');
  const datasets = new DatasetService(dependencies);
  const accountWatches = new AccountWatches(dependencies);
  const downloads = new Downloads(dependencies);
  const thumbnails = new Thumbnails(dependencies, {
    make: (image, options) => pool.thumbnail({ ...image, maxPixels: THUMBNAIL_PIXELS }, options),
    atOnce: THUMBNAILS_PER_PROCESS * pool.size,
  });
  const history = new HistoryService(dependencies, datasets);
  const webhooks = openWebhooks(dependencies, {
    database: openedCatalog.database,
    allow: config.webhookAllow,
    datasets,
    toWire: (view, problems) => datasetToWire(view, view.findings.errors.slice(0, problems)),
    isAlone: isCatalogLocal,
    userAgent: `trainyard/${packageVersion()}`,
    machineTime,
    onAttempt: (outcome) => metrics.webhookAttempted(outcome),
    onDisabled: ({ id }) => logger.warn({ webhook: id }, 'a receiver answered 410, so its webhook was disabled'),
    onError: (err, failure) => logger.warn({ err }, failure),
  });
  metrics.gauge('trainyard_webhooks_in_flight', 'Requests to webhooks in flight.', webhooks.inFlight);
  const jobRunner = new JobRunner({
    ...{ jobs, now, newId: core.newId, leaseDuration: config.rules.leaseDuration, isAlone: isCatalogLocal },
    handlers: [pruneTokensJob({ database, now })],
    onError: (err, job) => logger.warn({ err, ...job }, 'a job failed; it will be retried'),
  });
  catalog.changes.onAnyChange(
    () => jobs.wake(),
    () => jobs.wake(),
  );
  const server = await createServer(
    {
      accounts,
      sessions,
      now,
      datasets,
      uploads,
      downloads,
      thumbnails,
      history,
      mountArchives: new MountArchives({ datasets, history, downloads }),
      captionWrites: new CaptionWrites(dependencies),
      bulkRemovals: new BulkRemovals(dependencies),
      rechecks: new RecheckService(core, { rechecks, onStarted: () => backgroundRechecks.wake() }),
      pairs: new PairService(dependencies),
      webhooks: webhooks.service,
      links: new UploadLinks(linkKey, presigning),
      readLinks: new ReadLinks(linkKey),
      watchDataset: (key, signal) => watchDataset(dependencies, key, signal),
      watchAccount: (accountId, signal) => accountWatches.follow(accountId, signal),
      maxDownloads: blobs.maxSlowReads ?? Number.POSITIVE_INFINITY,
      checkReady: async () => {
        await Promise.all([catalog.ping(), blobs.ping()]);
      },
      metrics,
      auditLog,
      ffmpeg,
    },
    {
      logger,
      publicUrl: config.publicUrl,
      trustedProxies: config.trustedProxies,
      timeouts: config.timeouts,
      limits: config.limits,
      version: packageVersion(),
      uploadOrigin: presigning?.origin,
      sessionCookie: sessionCookieName(linkKey),
    },
  );
  const { mountRoot: root, dataFolder } = config;
  const mountRoot = root === undefined ? undefined : new MountRoot(dependencies, { root, dataFolder, log: logger });
  await server.listen({ host: config.host, port: config.port });

  await jobs.ensure('prune-tokens', now());
  jobRunner.start();
  mountRoot?.start();
  checks.start();
  backgroundRechecks.start();
  webhooks.start();
  const stopPeriodicWork = startPeriodicWork(dependencies, {
    ...{ retention, uploads, accounts, presignedUploads, logger },
  });

  /** Rejects new requests, gives those in flight and background work `stopSeconds` to finish, then closes everything. */
  const stop = async () => {
    const stopMs = config.stopSeconds * 1000;
    const timer = setTimeout(() => server.server.closeAllConnections(), stopMs);
    // What the calls leave undone, the next process repeats or removes, as after a crash.
    const abortTimer = setTimeout(() => blobs.abort?.(), stopMs + CUT_OFF_MS);
    pool.hurry(MAX_INSPECTION_STOP_MS);
    await Promise.all([
      server.drain(stopMs),
      jobRunner.stop(),
      mountRoot?.stop(),
      checks.stop(),
      backgroundRechecks.stop(),
      webhooks.stop(),
    ]);
    await server.close();
    clearTimeout(timer);
    await Promise.all([stopPeriodicWork(), presignedUploads?.stop()]);
    clearTimeout(abortTimer);
    await accounts.saveLastUses().catch(() => {});
    await auditLog?.close();
    await pool.close();
    await blobs.close();
    await openedCatalog.close();
    lock?.release();
  };
  const [address] = server.addresses();
  const port = typeof address === 'object' ? address.port : config.port;
  return { accounts, now, port, databaseName: openedCatalog.databaseName, stop };
}

/** Opens an audit log whose failures are in the log and in the metrics. @throws BackendUnusable if it can't be written */
async function openAuditLog(
  path: string,
  { logger, metrics }: { logger: Logger; metrics: Metrics },
): Promise<AuditLog> {
  const auditLog = await AuditLog.open(path, (err) => {
    if (err === undefined) logger.warn({ path }, 'the audit log is written again');
    else logger.error({ err, path }, 'THE AUDIT LOG CAN NOT BE WRITTEN; lines wait in memory');
  });
  metrics.gauge('trainyard_audit_log_writable', 'Whether the audit log can be written.', () =>
    auditLog.isWritable ? 1 : 0,
  );
  return auditLog;
}

/**
 * Lists no objects, for a folder whose catalog was migrated from a bucket and has presigned uploads: the folder has none of their
 * bytes. `undefined` for a catalog without such uploads, which then gets none.
 */
async function noObjects(catalog: Catalog): Promise<BlobStore['listObjects']> {
  const all = { now: Number.MAX_SAFE_INTEGER, expiringFrom: 0 };
  const datasets = await catalog.datasetsWithPresignedUploads(all);
  return datasets.length === 0 ? undefined : async () => ({ objects: [], next: undefined });
}

function openPool(config: Config, logger: Logger): InspectionPool {
  return new InspectionPool({
    processes: config.inspectionProcesses,
    onError: (err) => {
      if (err instanceof ProcessEnded) {
        logger.warn({ reason: err.reason, detail: err.message }, 'a file ended its inspection process');
      } else logger.error({ err }, 'an inspection process could not be started');
    },
  });
}
