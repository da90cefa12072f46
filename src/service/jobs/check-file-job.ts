import { withAnySignal } from '../../abort-signals.js';
import { acceptReceived, rejectReceived } from '../../dataset/check-transitions.js';
import { MICROS_PER_SECOND, type Micros, type ReceivedFile } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import type { Inspection } from '../../dataset/inspect/inspection.js';
import type { StemGroup } from '../../dataset/upload-transitions.js';
import type { Job } from '../../storage/catalog/jobs.js';
import { fetchIntact } from '../check/fetch-intact.js';
import type { ServiceDependencies } from '../dependencies.js';
import type { JobHandler } from './job-runner.js';

/** A dataset is UPLOADING until its files are checked, so that a store that is back is soon tried again. */
const LONGEST_RETRY: Micros = 60 * MICROS_PER_SECOND;

type CheckDependencies = Pick<ServiceDependencies, 'catalog' | 'blobs' | 'decodeClip' | 'now'>;

/**
 * Checks a received file, whose id is the key of the job: decodes its frames, and stores or rejects it.
 *
 * @param options.ofAccount few, since each holds a copy of a remote file. One more runs, of another account
 */
export function checkFileJob(
  dependencies: CheckDependencies,
  options: { ofAccount: number; onChecked: (file: ReceivedFile, inspection: Inspection) => void },
): JobHandler {
  return {
    kind: 'check-file',
    atOnce: options.ofAccount + 1,
    ofAccount: options.ofAccount,
    longestRetry: LONGEST_RETRY,
    run: async (job, signal) => {
      const file = await receivedFile(dependencies, job.key);
      if (file === undefined) return 'done';
      const inspection = await whileReceived(dependencies, file, signal, (either) =>
        inspect(dependencies, file, { job, signal: either }),
      );
      if (inspection === undefined) return 'done';
      if (await finish(dependencies, file, inspection)) options.onChecked(file, inspection);
      return 'done';
    },
  };
}

async function receivedFile({ catalog }: CheckDependencies, id: string): Promise<ReceivedFile | undefined> {
  const file = await catalog.file(id);
  return file?.upload.state === 'received' ? (file as ReceivedFile) : undefined;
}

/** Runs `work`, and aborts it once the file was removed or replaced. @returns `undefined` then */
async function whileReceived<T>(
  dependencies: CheckDependencies,
  { id, datasetId, filename }: ReceivedFile,
  signal: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T | undefined> {
  const gone = new AbortController();
  const unsubscribe = dependencies.catalog.changes.onChange(datasetId, (filenames) => {
    if (filenames !== undefined && !filenames.includes(filename)) return;
    // Without an answer of the catalog, the work goes on: its result is recorded only if the file is still received.
    receivedFile(dependencies, id).then(
      (file) => file ?? gone.abort(),
      () => {},
    );
  });
  try {
    return await withAnySignal([signal, gone.signal], work);
  } catch (error) {
    if (gone.signal.aborted && !signal.aborted) return undefined;
    throw error;
  } finally {
    unsubscribe();
  }
}

async function inspect(
  { blobs, decodeClip }: CheckDependencies,
  file: ReceivedFile,
  { job, signal }: { job: Job; signal: AbortSignal },
): Promise<Inspection> {
  const { filename, upload } = file;
  const { sizeBytes, contentType, facts, warnings } = upload;
  const { accountId } = job;
  const proved = { ok: true, contentType, facts, warnings } as const;
  const fetched = await fetchIntact(blobs, file, { accountId, signal });
  if ('problem' in fetched) {
    // The bytes of a rejected file are deleted, so that one wrong answer of the store must not be enough.
    const message = `${fetched.problem.message} It is read once more before that is certain.`;
    if (job.error === message) return { ok: false, problem: fetched.problem };
    throw new ServiceError('unavailable', message);
  }
  const { content, discard } = fetched.blob;
  try {
    // An earlier process had a decoder, or space for the bytes: the file keeps the warning that its frames are not proved.
    if (decodeClip === undefined || !('path' in content)) return proved;
    const clip = { path: content.path, filename, sizeBytes, inspection: proved };
    return await decodeClip(clip, { accountId, isBackground: true, signal });
  } finally {
    await discard();
  }
}

/** Stores or rejects the file. @returns false if it was replaced, removed or checked meanwhile */
async function finish(
  { catalog, now }: CheckDependencies,
  { id, datasetId, filename, upload }: ReceivedFile,
  inspection: Inspection,
): Promise<boolean> {
  const finalizedAt = now();
  const { sizeBytes, sha256, blobVersion, linkUntil } = upload;
  const transition = (group: StemGroup) => {
    if (!inspection.ok)
      return rejectReceived(group, id, { state: 'rejected', problem: inspection.problem, finalizedAt });
    const { contentType, facts, warnings } = inspection;
    const bytes = { sizeBytes, sha256, blobVersion, contentType, facts, warnings };
    return acceptReceived(group, id, { state: 'stored', ...bytes, ...(linkUntil && { linkUntil }), finalizedAt });
  };
  const change = { datasetId, filenames: [filename], now: finalizedAt, isActivity: true };
  return (await catalog.change(change, transition)) !== undefined;
}
