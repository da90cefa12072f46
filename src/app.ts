import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import type { Config } from './config.js';
import type { Storage } from './open-storage.js';
import { recordPresignedUpload } from './server/audit.js';
import { listeningUrls } from './server/listening-urls.js';
import { Metrics } from './server/metrics.js';
import type { Handlers } from './server/register-routes.js';
import { accountHandlers } from './server/routes/account.js';
import { captioningHandlers, captionRunToWire } from './server/routes/captioning.js';
import { datasetHandlers } from './server/routes/datasets.js';
import { downloadHandlers } from './server/routes/downloads.js';
import { eventHandlers } from './server/routes/events.js';
import { historyHandlers } from './server/routes/history.js';
import { operationHandlers } from './server/routes/operations.js';
import { tarHandlers } from './server/routes/tar.js';
import { uploadHandlers } from './server/routes/uploads.js';
import { webhookHandlers } from './server/routes/webhooks.js';
import { createServer, type HttpServer } from './server/server.js';
import { sessionCookieName } from './server/auth.js';
import { datasetToWire } from './server/wire.js';
import { type AuditLog, openAuditLog } from './service/audit-log.js';
import { CaptionWrites, FileRemovals } from './service/bulk.js';
import { captionFileJob, captionRunJob } from './service/captioning/caption-jobs.js';
import { CaptioningService } from './service/captioning/captioning-service.js';
import { ModelServers } from './service/captioning/model-servers.js';
import { DatasetService } from './service/datasets.js';
import { checkFileJob, inspectAgainJob, verifyBlobJob } from './service/jobs/check-jobs.js';
import type { ServiceDependencies } from './service/dependencies.js';
import { Downloads } from './service/download/downloads.js';
import { Thumbnails } from './service/download/thumbnails.js';
import { hashImagesJob } from './service/duplicates.js';
import { HistoryService } from './service/history.js';
import { clipDecoder } from './service/inspection/clip/decode-clip.js';
import { type Ffmpeg, ffmpegSentence, findFfmpeg, hasFfmpeg } from './service/inspection/clip/ffmpeg.js';
import { InspectionPool, jobSlotsOf, ProcessEnded } from './service/inspection/inspection-pool.js';
import { cleanUpJobs } from './service/jobs/clean-up-jobs.js';
import { type JobHandler, JobRunner } from './service/jobs/job-runner.js';
import { MountRoot } from './service/jobs/mount-job.js';
import { finalizeUploadJob, findUploadsJob } from './service/jobs/presigned-jobs.js';
import { Quota } from './storage/limits.js';
import { MountError } from './service/mount/mount-source.js';
import { ReadLinks, UploadLinks } from './service/signed-links.js';
import { releaseLeases } from './service/upload/upload-lease.js';
import { Uploads } from './service/upload/uploads.js';
import { WebhookService } from './service/webhooks/webhook-service.js';
import { BlobsNotDeleted, newId } from './storage/blobs/blobs.js';
import { INSTALLATION } from './storage/catalog/jobs.js';
import { installationSetting } from './storage/catalog/open-catalog.js';
import { packageVersion } from './version.js';

/** After SIGTERM, the inspection of a file takes no longer: the client is told to send the file again. */
const MAX_INSPECTION_STOP_MS = 5000;

/** Starting ffmpeg blocks the server for some milliseconds; its first requests come before. */
const FFMPEG_DELAY_MS = 200;

const UPLOADS_OF_ACCOUNT = 1000;

const SAVE_LAST_USES_MS = 60_000;

/** For cut-off uploads, to remove what they have stored. */
const CUT_OFF_MS = 1000;

/** The server listens when this resolves. @throws BackendUnusable if the ffmpeg of a setting can't be used */
export async function openApp(config: Config, logger: Logger, storage: Storage) {
  const inspection = await openInspection(config, logger);
  const metrics = new Metrics();
  const auditLog = await auditLogAt(config.auditLog, { logger, metrics });
  const basis = { config, logger, storage, inspection, metrics, auditLog };
  const parts: Parts = { ...basis, services: await makeServices(basis) };
  const { services } = parts;
  const jobRunner = makeJobRunner(parts);
  measure(parts, jobRunner);
  const { accounts, jobs, now } = storage;
  const { trustedProxies, idleSeconds, limits, publicUrl } = config;
  const http = createServer({ logger, metrics, trustedProxies, idleSeconds, limits, version: packageVersion() });
  await http.addRoutes({
    handlers: makeHandlers(parts, http),
    ...{ accounts, now, auditLog, publicUrl },
    readLinks: services.readLinks,
    sessionCookie: services.sessionCookie,
    maxDownloads: storage.blobs.maxSlowReads ?? Number.POSITIVE_INFINITY,
    uploadOrigin: storage.blobs.presigning?.origin,
  });
  await http.app.listen({ host: config.host, port: config.port });

  // They repeat as long as the installation is served. Those of an earlier start may be late: its clock may have been ahead.
  await jobs.add(services.cleanUps.map(({ kind }) => ({ kind, key: '', accountId: INSTALLATION, dueAt: now() })));
  jobRunner.start();
  const wake = () => jobs.wake();
  storage.catalog.changes.onAnyChange(wake, wake);
  setTimeout(() => void inspection.ffmpeg(), FFMPEG_DELAY_MS).unref();
  await services.mountRoot?.start();
  let saved = Promise.resolve();
  const savingLastUses = setInterval(() => {
    const warn = (err: unknown) => logger.warn({ err }, 'saving last uses of tokens failed; it will be retried');
    saved = saved.then(() => accounts.saveLastUses()).catch(warn);
  }, SAVE_LAST_USES_MS);

  /** Gives requests in flight and background work `stopSeconds`, then closes everything. */
  const stop = async () => {
    const stopMs = config.stopSeconds * 1000;
    const timer = setTimeout(() => http.app.server.closeAllConnections(), stopMs);
    // The next process repeats or removes what is left, as after a crash.
    const abortTimer = setTimeout(() => storage.blobs.abort?.(), stopMs + CUT_OFF_MS);
    inspection.pool.hurry(MAX_INSPECTION_STOP_MS);
    services.mountRoot?.stop();
    await Promise.all([http.drain(stopMs), jobRunner.stop()]);
    await http.app.close();
    clearTimeout(timer);
    clearTimeout(abortTimer);
    clearInterval(savingLastUses);
    await saved;
    await accounts.saveLastUses().catch(() => {});
    await auditLog?.close();
    await inspection.pool.close();
    await storage.close();
  };
  const [address] = http.app.addresses();
  const port = typeof address === 'object' ? address.port : config.port;
  const decodesClips = inspection.decodeClip !== undefined;
  return { accounts, now, port, databaseName: storage.databaseName, decodesClips, stop };
}

type Inspection = Awaited<ReturnType<typeof openInspection>>;

/** What services are made of. */
interface Basis {
  readonly config: Config;
  readonly logger: Logger;
  readonly storage: Storage;
  readonly inspection: Inspection;
  readonly metrics: Metrics;
  readonly auditLog: AuditLog | undefined;
}

interface Parts extends Basis {
  readonly services: Awaited<ReturnType<typeof makeServices>>;
}

/** Clip decoders are found when they are first needed. */
async function openInspection({ ffmpeg: choice, inspectionProcesses }: Config, logger: Logger) {
  const pool = new InspectionPool({
    processes: inspectionProcesses,
    onError: (err) => {
      if (err instanceof ProcessEnded) {
        logger.warn({ reason: err.reason, detail: err.message }, 'a file ended its inspection process');
      } else logger.error({ err }, 'an inspection process could not be started');
    },
  });
  const find = async () => {
    const found = await findFfmpeg(choice);
    const isMissing = found === undefined && choice.kind !== 'none';
    logger[isMissing ? 'warn' : 'info']({ ffmpeg: found ?? null }, ffmpegSentence(found, choice));
    return found;
  };
  let finding: Promise<Ffmpeg | undefined> | undefined;
  const ffmpeg = () => {
    finding ??= find();
    return finding;
  };
  if (choice.kind === 'named') await ffmpeg();
  const decodeClip: ServiceDependencies['decodeClip'] = async (clip, options) => {
    const found = await ffmpeg();
    // An ffmpeg that does not run counts as none.
    if (found === undefined) return pool.inspect(clip, { ...options, readsClipFacts: true });
    return clipDecoder(found, pool)(clip, options);
  };
  return { pool, ffmpeg, decodeClip: (await hasFfmpeg(choice)) ? decodeClip : undefined };
}

/** Failures are in the log and in the metrics. @throws BackendUnusable if it can't be written */
async function auditLogAt(
  path: string | undefined,
  { logger, metrics }: { logger: Logger; metrics: Metrics },
): Promise<AuditLog | undefined> {
  if (path === undefined) return undefined;
  const auditLog = await openAuditLog(path, (entry, err) => {
    logger.error({ err, path, entry }, 'THE AUDIT LOG CAN NOT BE WRITTEN; this line has the entry');
  });
  metrics.gauge('trainyard_audit_log_writable', 'Whether the audit log can be written.', () =>
    auditLog.isWritable() ? 1 : 0,
  );
  return auditLog;
}

async function makeServices({ config, storage, inspection, metrics, logger }: Basis) {
  const { blobs, database, jobs, now } = storage;
  const { pool, decodeClip, ffmpeg } = inspection;
  const maxLinkBytes = Math.min(config.rules.maxLinkBytes, blobs.maxFileBytes ?? Number.POSITIVE_INFINITY);
  metrics.limits.set({ setting: 'max-file-bytes' }, maxLinkBytes);
  const core: ServiceDependencies = {
    ...{ catalog: storage.catalog, blobs, jobs, now, rules: { ...config.rules, maxLinkBytes } },
    inspect: pool.inspect.bind(pool),
    ...(decodeClip && { decodeClip }),
    newId,
  };
  // Interrupted uploads can be sent again at once. Other instances may hold live leases in a Postgres catalog.
  await releaseLeases(core, { isLiveToo: storage.isCatalogLocal }).catch((err) => {
    if (!(err instanceof BlobsNotDeleted)) throw err;
    logger.warn({ err }, 'what unfinished uploads left could not be removed; it will be retried');
  });
  const makeLinkKey = () => randomBytes(32).toString('base64');
  const linkKey = Buffer.from(await installationSetting(database, 'link-key', makeLinkKey), 'base64');
  const uploadQuota = new Quota({
    ofAccount: UPLOADS_OF_ACCOUNT,
    what: 'uploads in flight',
    accountError: 'too_many_uploads',
  });
  const datasets = new DatasetService(core);
  const { mountRoot: root, dataFolder, historyLifetime: lifetime, blobGrace } = config;
  const retention = { lifetime, maxBytes: config.limits.bytes, blobGrace };
  return {
    core,
    datasets,
    uploadQuota,
    uploads: new Uploads(core, uploadQuota),
    uploadLinks: new UploadLinks(linkKey, blobs.presigning),
    readLinks: new ReadLinks(linkKey),
    sessionCookie: sessionCookieName(linkKey),
    downloads: new Downloads(core),
    captionWrites: new CaptionWrites(core),
    modelServers: new ModelServers(config.captionEndpoints, {
      now: core.now,
      onAsked: (outcome) => metrics.captions.inc({ outcome }),
    }),
    thumbnails: new Thumbnails(core, { pool, ffmpeg }),
    cleanUps: cleanUpJobs(core, { database, retention }),
    history: new HistoryService(core),
    mountRoot: root === undefined ? undefined : new MountRoot(core, { root, dataFolder, log: logger }),
    webhooks: new WebhookService(core, {
      ...{ database, datasets, allow: config.webhookAllow, machineTime: storage.machineTime },
      toWire: (view, problems) => datasetToWire(view, view.findings.errors.slice(0, problems)),
      userAgent: `trainyard/${packageVersion()}`,
      onAttempt: (outcome) => metrics.webhooks.inc({ outcome }),
      onDisabled: ({ id }) => logger.warn({ webhook: id }, 'a receiver answered 410, so its webhook was disabled'),
    }),
  };
}

function makeJobRunner(parts: Parts): JobRunner {
  const { config, storage, services, inspection, logger } = parts;
  const { catalog, database, blobs, jobs, now } = storage;
  const { core, webhooks, mountRoot, downloads, captionWrites, modelServers: servers } = services;
  const captioning = {
    ...{ ...core, runs: storage.captionRuns, servers, downloads, captionWrites, toWire: captionRunToWire },
    ...{ pool: inspection.pool, ffmpeg: inspection.ffmpeg },
  };
  return new JobRunner({
    ...{ jobs, now, newId: core.newId, leaseDuration: config.rules.leaseDuration, isAlone: storage.isCatalogLocal },
    handlers: [
      checkFileJob(core, {
        ofAccount: jobSlotsOf(inspection.pool.size),
        onChecked: ({ filename, datasetId }, result) => {
          const facts = { filename, dataset: datasetId, ...(!result.ok && { problem: result.problem.code }) };
          logger.info(facts, 'checked a file in the background');
        },
      }),
      findUploadsJob(core),
      finalizePresigned(parts),
      ...services.cleanUps,
      captionFileJob(captioning),
      captionRunJob(captioning),
      inspectAgainJob(core, database),
      hashImagesJob(core, services.thumbnails, { areUploading: () => services.uploadQuota.held > 0 }),
      // `trainyard verify --store` enqueues them, and does most itself.
      verifyBlobJob({ catalog, database, blobs, now }, { atOnce: 1 }),
      ...webhooks.handlers,
      ...(mountRoot ? [mountRoot.handler] : []),
    ],
    onError: (err, job) => {
      if (job === undefined) return logger.warn({ err }, 'looking for jobs failed; it will be retried');
      // A blocked folder fails every few minutes for one reason, which is logged once.
      const isBlocked = err instanceof MountError;
      if (isBlocked && err.message === job.error) return;
      const { kind, key } = job;
      logger.warn({ err: isBlocked ? err.message : err, kind, key }, 'a job failed; it will be retried');
    },
  });
}

/** Nothing else records uploads that went to the bucket. */
function finalizePresigned({ services, metrics, auditLog, logger }: Parts): JobHandler {
  const { core } = services;
  return finalizeUploadJob(core, {
    onFinalized: (file, sizeBytes) => {
      metrics.uploaded('presigned', sizeBytes);
      recordPresignedUpload(auditLog, file, { now: core.now() });
    },
    onRejected: (file, message) => {
      const { filename, datasetId } = file;
      metrics.uploads.inc({ via: 'presigned', outcome: 'refused' });
      recordPresignedUpload(auditLog, file, { now: core.now(), error: 'invalid_content' });
      logger.warn({ filename, dataset: datasetId }, `rejected an upload through a link to the bucket: ${message}`);
    },
    onIgnored: (key) => logger.info({ key }, 'deleted an upload through a link that was used or withdrawn before'),
  });
}

/** For what is counted outside of the HTTP server. */
function measure({ metrics, storage, services, inspection }: Parts, jobRunner: JobRunner): void {
  const { pool } = inspection;
  metrics.gauge('trainyard_inspections', 'Files being inspected or waiting for it.', () => pool.queuedFiles);
  const uploadsInFlight = () => services.uploadQuota.held;
  metrics.gauge('trainyard_uploads_in_flight', 'Uploads that this process is receiving.', uploadsInFlight);
  const webhooksInFlight = () => jobRunner.inFlight('deliver');
  metrics.gauge('trainyard_webhooks_in_flight', 'Requests to webhooks in flight.', webhooksInFlight);
  const captionsInFlight = () => services.modelServers.all.reduce((sum, { queue }) => sum + queue.held, 0);
  metrics.gauge('trainyard_captions_in_flight', 'Requests to model servers in flight.', captionsInFlight);
  metrics.jobs(() => storage.jobs.counts(), storage.now);
  metrics.limits.set({ setting: 'inspection-processes' }, pool.size);
}

function makeHandlers(parts: Parts, http: HttpServer): Handlers {
  const { config, storage, services, inspection, metrics } = parts;
  const { accounts, catalog, blobs, database, now } = storage;
  const { core, datasets, history, downloads, thumbnails, readLinks, sessionCookie } = services;
  const { ffmpeg } = inspection;
  const { filesInFlight, failedLogins, holdUnsent, stopping } = http;
  const { publicUrl, idleSeconds, limits } = config;
  const { uploads, uploadLinks, webhooks, captionWrites, modelServers: servers } = services;
  const captioning = new CaptioningService(core, { runs: storage.captionRuns, servers, captionWrites });
  return {
    ...datasetHandlers({ core, datasets, history, database, stopping }),
    ...eventHandlers({ core, datasets, captionRuns: storage.captionRuns, accounts, now, holdUnsent, stopping }),
    ...uploadHandlers({
      ...{ uploads, uploadLinks, captionWrites, removals: new FileRemovals(core) },
      ...{ idleSeconds, metrics, filesInFlight, publicUrl, now },
    }),
    ...captioningHandlers(captioning),
    ...downloadHandlers({ datasets, downloads, thumbnails, readLinks, filesInFlight, holdUnsent, now }),
    ...tarHandlers({ core, downloads, readLinks, filesInFlight, publicUrl, now }),
    ...historyHandlers({ history, downloads, accounts, filesInFlight, holdUnsent, maxBytes: limits.bytes }),
    ...accountHandlers({
      ...{ accounts, datasets, failedLogins, sessionCookie, publicUrl, now },
      ...{ limits, listeningUrls: () => listeningUrls(http.app.addresses()) },
    }),
    ...webhookHandlers(webhooks),
    ...operationHandlers({
      ...{ registry: metrics.registry, ffmpeg, hasPresignedLinks: blobs.presigning !== undefined },
      checkReady: () => Promise.all([catalog.ping(), blobs.ping()]),
    }),
  };
}
