import { randomBytes, randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { Config } from './config.js';
import { recordPresignedUpload } from './server/audit.js';
import { AuditLog } from './service/audit/audit-log.js';
import { Metrics } from './server/metrics.js';
import { createServer } from './server/server.js';
import { datasetToWire } from './server/to-wire.js';
import { sessionCookieName } from './server/session/cookie.js';
import { BulkRemovals } from './service/bulk/bulk-removals.js';
import { CaptionWrites } from './service/bulk/caption-writes.js';
import { DatasetService } from './service/datasets.js';
import type { ServiceDependencies } from './service/dependencies.js';
import { Downloads } from './service/download/downloads.js';
import { ReadLinks } from './service/download/read-links.js';
import { Thumbnails } from './service/download/thumbnails.js';
import { HistoryService } from './service/history/history-service.js';
import { clipDecoder } from './service/inspection/clip/decode-clip.js';
import {
  type Ffmpeg,
  type FfmpegChoice,
  ffmpegSentence,
  findFfmpeg,
  hasFfmpeg,
} from './service/inspection/clip/ffmpeg.js';
import { InspectionPool, jobSlotsOf } from './service/inspection/inspection-pool.js';
import { ProcessEnded } from './service/inspection/inspection-process.js';
import { checkFileJob } from './service/jobs/check-file-job.js';
import { cleanUpJobs } from './service/jobs/clean-up-jobs.js';
import { finalizeUploadJob } from './service/jobs/finalize-upload-job.js';
import { findUploadsJob, searchOnRequest } from './service/jobs/find-uploads-job.js';
import { JobRunner } from './service/jobs/job-runner.js';
import { Loop } from './service/jobs/loop.js';
import { MountRoot } from './service/jobs/mount-job.js';
import { Quota } from './service/limits/quota.js';
import { MountArchives } from './service/mount/mount-archive.js';
import { PairService } from './service/pair-service.js';
import { releaseLeases } from './service/upload/cleanup.js';
import { UploadLinks } from './service/upload/upload-links.js';
import { Uploads } from './service/upload/uploads.js';
import { AccountWatches } from './service/watch/account-watches.js';
import { watchDataset } from './service/watch/watch-dataset.js';
import { inspectAgainJob } from './service/verify/inspect-again-job.js';
import { RecheckService } from './service/verify/recheck-service.js';
import { requireOwnCatalog } from './service/verify/require-own-catalog.js';
import { verifyBlobJob } from './service/verify/verify-blob-job.js';
import { openWebhooks } from './service/webhooks/webhook-service.js';
import { BlobsNotDeleted } from './storage/blobs/blobs.js';
import { Retention } from './storage/catalog/history/retention.js';
import { INSTALLATION, type JobKind } from './storage/catalog/jobs.js';
import { installationSetting, openCatalog } from './storage/catalog/open-catalog.js';
import { dataFolderPaths, makePrivateFolder } from './storage/data-folder.js';
import { lockFolder } from './storage/folder-lock.js';
import { openBlobs } from './storage/open-blobs.js';
import { packageVersion } from './version.js';

/** To start ffmpeg blocks the server for some milliseconds, in which it rather answers its first requests. */
const FFMPEG_DELAY_MS = 200;

const THUMBNAIL_PIXELS = 320;

/** Jobs that repeat as long as the installation is served. */
const INSTALLATION_JOBS: readonly JobKind[] = ['clean-up', 'empty-trash', 'prune-history', 'prune-tokens'];

const SAVE_USES_PAUSE_MS = 60_000;

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
  await makePrivateFolder(config.dataFolder);
  // One process serves a data folder that holds the catalog or the blobs. With both remote, several instances may serve.
  const isCatalogLocal = config.databaseUrl === undefined;
  const isShared = !isCatalogLocal && config.blobs.kind !== 'disk';
  const lock = isShared ? undefined : lockFolder(dataFolderPaths(config.dataFolder).lock);
  const onWarning = (message: string) => logger.warn(message);
  const openedCatalog = await openCatalog(
    {
      ...config,
      captionGrace: config.rules.captionGrace,
      accountLimits: { ...config.limits.account, datasetFiles: config.limits.maxDatasetFiles },
    },
    { onWarning },
  );
  const blobs = await openBlobs(config, (level, facts, message) => logger[level](facts, message));
  await requireOwnCatalog(openedCatalog.database, config);
  const pool = openPool(config, logger);
  const ffmpeg = await openFfmpeg(config.ffmpeg, logger);
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
  metrics.jobs(() => jobs.counts(), now);
  metrics.limit('inspectionProcesses', pool.size);
  metrics.limit('maxFileBytes', config.rules.maxLinkBytes);
  const core: ServiceDependencies = {
    catalog,
    blobs,
    jobs,
    now,
    rules: config.rules,
    inspect: (file, options) => pool.inspect(file, options),
    ...((await hasFfmpeg(config.ffmpeg)) && {
      decodeClip: async (clip, options) => {
        const found = await ffmpeg();
        // One that doesn't run is as good as none: the facts are read without it.
        if (found === undefined) return pool.inspect(clip, { ...options, readsClipFacts: true });
        return clipDecoder(found, { runInSlot: (request, work) => pool.runInSlot(request, work) })(clip, options);
      },
    }),
    newId: () => randomUUID().replaceAll('-', ''),
  };
  const { presigning } = blobs;
  const listObjects = blobs.listObjects?.bind(blobs);
  const onRequestError = (err: unknown) => logger.warn({ err }, 'searching for presigned uploads will be tried again');
  const dependencies = {
    ...core,
    ...(listObjects && { findPresignedUploads: searchOnRequest(core, onRequestError) }),
  };
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
    database,
    allow: config.webhookAllow,
    datasets,
    toWire: (view, problems) => datasetToWire(view, view.findings.errors.slice(0, problems)),
    userAgent: `trainyard/${packageVersion()}`,
    machineTime,
    onAttempt: (outcome) => metrics.webhookAttempted(outcome),
    onDisabled: ({ id }) => logger.warn({ webhook: id }, 'a receiver answered 410, so its webhook was disabled'),
  });
  const { mountRoot: root, dataFolder } = config;
  const mountRoot = root === undefined ? undefined : new MountRoot(core, { root, dataFolder, log: logger });
  const jobRunner = new JobRunner({
    ...{ jobs, now, newId: core.newId, leaseDuration: config.rules.leaseDuration, isAlone: isCatalogLocal },
    handlers: [
      checkFileJob(core, {
        ofAccount: jobSlotsOf(pool.size),
        onChecked: ({ filename, datasetId }, inspection) => {
          const facts = { filename, dataset: datasetId, ...(!inspection.ok && { problem: inspection.problem.code }) };
          logger.info(facts, 'checked a file in the background');
        },
      }),
      findUploadsJob(core, { listObjects }),
      finalizeUploadJob(core, {
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
      }),
      ...cleanUpJobs(core, { database, retention, isReceiving: (id) => uploads.isReceiving(id) }),
      inspectAgainJob(core, rechecks),
      // One at a time: `trainyard verify --store`, which enqueues them, does most itself.
      verifyBlobJob({ catalog, database, blobs, now }, { atOnce: 1 }),
      ...webhooks.handlers,
      ...(mountRoot ? [mountRoot.handler] : []),
    ],
    onError: (err, job) => {
      if (job === undefined) return logger.warn({ err }, 'looking for jobs failed; it will be retried');
      logger.warn({ err, kind: job.kind, key: job.key }, 'a job failed; it will be retried');
    },
  });
  const webhooksInFlight = () => jobRunner.inFlight('deliver');
  metrics.gauge('trainyard_webhooks_in_flight', 'Requests to webhooks in flight.', webhooksInFlight);
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
      rechecks: new RecheckService(core, rechecks),
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
  await server.listen({ host: config.host, port: config.port });

  await jobs.ensure(INSTALLATION_JOBS.map((kind) => ({ kind, key: '', accountId: INSTALLATION, dueAt: now() })));
  jobRunner.start();
  setTimeout(() => void ffmpeg(), FFMPEG_DELAY_MS).unref();
  await mountRoot?.start();
  const savingLastUses = new Loop(() => accounts.saveLastUses(), {
    pauseMs: SAVE_USES_PAUSE_MS,
    onError: (err) => logger.warn({ err }, 'the last uses of tokens could not be saved'),
  });

  /** Rejects new requests, gives those in flight and background work `stopSeconds` to finish, then closes everything. */
  const stop = async () => {
    const stopMs = config.stopSeconds * 1000;
    const timer = setTimeout(() => server.server.closeAllConnections(), stopMs);
    // What the calls leave undone, the next process repeats or removes, as after a crash.
    const abortTimer = setTimeout(() => blobs.abort?.(), stopMs + CUT_OFF_MS);
    pool.hurry(MAX_INSPECTION_STOP_MS);
    mountRoot?.stop();
    await Promise.all([server.drain(stopMs), jobRunner.stop()]);
    await server.close();
    clearTimeout(timer);
    clearTimeout(abortTimer);
    await savingLastUses.stop();
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
 * Returns a function that finds ffmpeg when it is first called, and logs what it has found.
 *
 * @throws BackendUnusable if the ffmpeg that a setting names can't be used
 */
async function openFfmpeg(choice: FfmpegChoice, logger: Logger): Promise<() => Promise<Ffmpeg | undefined>> {
  let finding: Promise<Ffmpeg | undefined> | undefined;
  const find = async () => {
    const ffmpeg = await findFfmpeg(choice);
    const isMissing = ffmpeg === undefined && choice.kind !== 'none';
    logger[isMissing ? 'warn' : 'info']({ ffmpeg: ffmpeg ?? null }, ffmpegSentence(ffmpeg, choice));
    return ffmpeg;
  };
  const findOnce = () => {
    finding ??= find();
    return finding;
  };
  if (choice.kind === 'named') await findOnce();
  return findOnce;
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
