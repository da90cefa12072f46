import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { onTestFinished } from 'vitest';
import { laptop } from '../../harness/author.js';
import type { Status } from '../../../src/dataset/dataset.js';
import { inspectWith, loadDecoder } from '../../../src/dataset/inspect/inspect.js';
import type { Inspection } from '../../../src/dataset/inspect/inspection.js';
import { errorIn } from '../../../src/dataset/problems.js';
import { DatasetService } from '../../../src/service/datasets.js';
import { CpuBudgetSpent } from '../../../src/service/inspection/limited-process.js';
import type { ClipDecoder, ClipToDecode, Inspector, ServiceDependencies } from '../../../src/service/dependencies.js';
import { FileRemovals } from '../../../src/service/bulk.js';
import { checkFileJob, inspectAgainJob } from '../../../src/service/jobs/check-jobs.js';
import { type JobHandler, JobRunner } from '../../../src/service/jobs/job-runner.js';
import { Quota } from '../../../src/storage/limits.js';
import { Uploads } from '../../../src/service/upload/uploads.js';
import { recheckDataset, recheckProgress } from '../../../src/service/verify/rechecks.js';
import { watchDataset } from '../../../src/service/watch.js';
import type { BlobStore } from '../../../src/storage/blobs/blobs.js';
import { DiskBlobs } from '../../../src/storage/blobs/disk/disk-blobs.js';
import { Jobs } from '../../../src/storage/catalog/jobs.js';
import { openCatalog } from '../../../src/storage/catalog/open-catalog.js';
import { clip } from '../../fixtures/media.js';
import { newRoot } from '../../harness/mounting.js';
import { eventually } from '../../harness/server.js';

export const SECOND = 1_000_000;

/** Short, so that a lost lease is noticed soon: it is renewed five times in that time. */
export const LEASE = SECOND;

/** A decode that the test ends. */
export interface Decode {
  readonly clip: ClipToDecode;
  readonly signal: AbortSignal;
  readonly end: (result: Inspection | Error) => void;
}

/** A catalog, in SQLite without a URL, and a folder of blobs with a dataset, on which the test starts any number of instances. */
export async function openPlace({ databaseUrl }: { databaseUrl?: string | undefined } = {}) {
  const folder = await newRoot();
  const blobs = await DiskBlobs.open(join(folder, 'blobs'));
  onTestFinished(() => blobs.close());
  const metadata = await openCatalog({ dataFolder: folder, blobGrace: 1000 * SECOND, databaseUrl });
  onTestFinished(metadata.close);
  const { token } = await metadata.accounts.createToken('tester', 1);
  const accountId = (await metadata.accounts.grantOf(token))!.accountId;
  const key = { accountId, id: newId() };
  await metadata.catalog.createDataset({ ...key, name: 'dogs', createdAt: 1 });
  const time = { ahead: 0 };

  /** An instance whose decoder the test drives. */
  const newInstance = (
    options: {
      hasDecoder?: boolean;
      isAlone?: boolean;
      blobs?: BlobStore;
      inspect?: Inspector;
      leaseDuration?: number;
    } = {},
  ) => {
    // Each instance has its own listener.
    const jobs = new Jobs(metadata.database);
    onTestFinished(metadata.catalog.changes.onAnyChange(() => jobs.wake()));
    const decodes: Decode[] = [];
    const errors: string[] = [];
    const decodeClip: ClipDecoder = (toDecode, { maxSeconds, signal }) =>
      new Promise((resolve, reject) => {
        signal.throwIfAborted();
        // A clip is long if its name says so.
        if (maxSeconds !== undefined && toDecode.filename.startsWith('long')) return reject(new CpuBudgetSpent());
        signal.addEventListener('abort', () => reject(signal.reason), { once: true });
        const end = (result: Inspection | Error) => (result instanceof Error ? reject(result) : resolve(result));
        decodes.push({ clip: toDecode, signal, end });
      });
    const dependencies: ServiceDependencies = {
      catalog: metadata.catalog,
      blobs: options.blobs ?? blobs,
      jobs,
      now: () => metadata.now() + time.ahead,
      rules: {
        captionGrace: 0,
        linkLifetime: 3600 * SECOND,
        maxLinkBytes: 10_000_000,
        leaseDuration: options.leaseDuration ?? LEASE,
        maxInlineSeconds: 20,
      },
      inspect:
        options.inspect ??
        (async (file, { role }) => {
          return inspectWith(file, { loadDecoder, asMask: role === 'mask' });
        }),
      ...(options.hasDecoder !== false && { decodeClip }),
      newId,
    };
    // Each has a table of jobs of its own, since a table wakes one runner. That of the instance wakes them all.
    const tables: Jobs[] = [];
    jobs.wake = () => {
      for (const own of tables) own.wake();
    };
    const runnerOf = (handlers: readonly JobHandler[], isAlone: boolean) => {
      const own = new Jobs(metadata.database);
      tables.push(own);
      const runner = new JobRunner({
        ...{ jobs: own, now: dependencies.now, newId, leaseDuration: LEASE, isAlone },
        handlers,
        onError: (error, job) => errors.push(`${job?.kind} ${job?.key} failed: ${error}`),
      });
      onTestFinished(() => runner.stop());
      return runner;
    };
    const checks = runnerOf(
      [checkFileJob(dependencies, { ofAccount: 2, onChecked: () => {} })],
      options.isAlone ?? false,
    );
    const rechecks = runnerOf([inspectAgainJob(dependencies, metadata.database)], false);
    const recheckServices = { ...dependencies, database: metadata.database };
    const uploads = new Uploads(dependencies, new Quota({ ofAccount: 10, what: 'uploads' }));
    return {
      dependencies,
      uploads,
      datasets: new DatasetService(dependencies),
      checks,
      jobs,
      rechecks,
      startRecheck: () => recheckDataset(recheckServices, key),
      progress: () => recheckProgress(recheckServices, key),
      /** Waits until the recheck has finished. */
      rechecked: () =>
        eventually(async () => {
          const found = await recheckProgress(recheckServices, key);
          return found.recheck?.finishedAt == null ? undefined : found;
        }),
      decodes,
      errors,
      /** Waits until the decoder has begun so many clips. */
      decode: (count = 1) => eventually(() => decodes[count - 1]),
      upload: (filename: string, bytes: Uint8Array | string = clip('faststart.mp4'), to = key) =>
        uploads.receiveDirect(to, filename, {
          author: laptop,
          body: Readable.from([Buffer.from(bytes)]),
          signal: new AbortController().signal,
          atMostBytes: Buffer.byteLength(bytes),
        }),
    };
  };
  const { dependencies } = newInstance();
  const datasets = new DatasetService(dependencies);
  const view = () => datasets.view(key);
  return {
    ...metadata,
    /** Holds the catalog and the blobs. */
    folder,
    token,
    blobs,
    key,
    time,
    newInstance,
    datasets,
    removals: new FileRemovals(dependencies),
    view,
    /** Waits until the dataset has the status. */
    becomes: (status: Status) =>
      eventually(async () => {
        const found = await view();
        return found.status === status ? found : undefined;
      }),
    /** Watches the dataset until the test ends; the statuses as they change. */
    watch: () => {
      const statuses: Status[] = [];
      const stop = new AbortController();
      onTestFinished(() => stop.abort());
      void (async () => {
        for await (const { status } of watchDataset(dependencies, key, { signal: stop.signal })) {
          if (statuses.at(-1) !== status) statuses.push(status);
        }
      })();
      return statuses;
    },
    /** What waits and runs of the checks. */
    checkJobs: async () => {
      const found = (await metadata.jobs.counts()).find(({ kind }) => kind === 'check-file');
      return { waiting: found?.waiting ?? 0, running: found?.running ?? 0, failed: found?.failed ?? 0 };
    },
    trash: async () => (await metadata.catalog.trash.due(Number.MAX_SAFE_INTEGER)).sort(),
  };
}

function newId(): string {
  return randomUUID().replaceAll('-', '');
}

/** A store that fetches blobs in another way. */
export function withFetch(blobs: BlobStore, fetch: BlobStore['fetch']): BlobStore {
  return Object.create(blobs, { fetch: { value: fetch } }) as BlobStore;
}

/** What a decoder returns for an intact clip. */
export function decoded({ inspection }: ClipToDecode): Inspection {
  const warnings = inspection.warnings.filter(({ code }) => code !== 'NOT_FULLY_CHECKED');
  return { ...inspection, facts: { kind: 'video', format: 'mp4', frames: 12 }, warnings };
}

/** What a decoder returns for a damaged clip. */
export function undecodable({ filename }: ClipToDecode): Inspection {
  return { ok: false, problem: errorIn(filename, 'VIDEO_CORRUPT', `${filename} is damaged. Upload an intact copy.`) };
}
