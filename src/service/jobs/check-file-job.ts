import { withAnySignal } from '../../abort-signals.js';
import { acceptReceived, rejectReceived } from '../../dataset/check-transitions.js';
import { MICROS_PER_SECOND, type Micros, type ReceivedFile, type Role } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import type { Inspection } from '../../dataset/inspect/inspection.js';
import type { StemGroup } from '../../dataset/upload-transitions.js';
import type { Job } from '../../storage/catalog/jobs.js';
import { fetchIntact } from '../check/fetch-intact.js';
import { inspectFile } from '../check/inspect-file.js';
import type { ServiceDependencies } from '../dependencies.js';
import type { JobHandler } from './job-runner.js';

/** A dataset is UPLOADING until its files are checked, so that a store that is back is soon tried again. */
const LONGEST_RETRY: Micros = 60 * MICROS_PER_SECOND;

type CheckDependencies = Pick<ServiceDependencies, 'catalog' | 'blobs' | 'inspect' | 'decodeClip' | 'now'>;

/**
 * Checks a received file, whose id is the key of the job: inspects it, decodes the frames of a clip, and stores or rejects it.
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
      const [dataset] = file === undefined ? [] : await dependencies.catalog.datasets({ ids: [file.datasetId] });
      if (file === undefined || dataset === undefined) return 'done';
      const { role } = dataset;
      const inspection = await whileReceived(dependencies, file, signal, (either) =>
        inspect(dependencies, file, { job, role, signal: either }),
      );
      if (inspection === undefined) return 'done';
      if (await finish(dependencies, { file, role }, inspection)) options.onChecked(file, inspection);
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
  dependencies: CheckDependencies,
  file: ReceivedFile,
  { job, role, signal }: { job: Job; role: Role; signal: AbortSignal },
): Promise<Inspection> {
  const { filename, upload } = file;
  const { accountId } = job;
  const fetched = await fetchIntact(dependencies.blobs, file, { accountId, signal });
  if ('problem' in fetched) {
    // The bytes of a rejected file are deleted, so that one wrong answer of the store must not be enough.
    const message = `${fetched.problem.message} It is read once more before that is certain.`;
    if (job.error === message) return { ok: false, problem: fetched.problem };
    throw new ServiceError('unavailable', message);
  }
  const { content, discard } = fetched.blob;
  try {
    const toInspect = { filename, sizeBytes: upload.sizeBytes, content };
    const options = { accountId, role, isBackground: true, signal };
    return (await inspectFile(dependencies, toInspect, options)).inspection;
  } finally {
    await discard();
  }
}

/** Stores or rejects the file. @returns false if it was replaced, removed or checked meanwhile */
async function finish(
  { catalog, now }: CheckDependencies,
  { file: { id, datasetId, filename, upload }, role }: { file: ReceivedFile; role: Role },
  inspection: Inspection,
): Promise<boolean> {
  const finalizedAt = now();
  const { sizeBytes, sha256, blobVersion } = upload;
  const transition = (group: StemGroup) => {
    if (!inspection.ok)
      return rejectReceived(group, id, { state: 'rejected', problem: inspection.problem, finalizedAt });
    const { contentType, facts, warnings } = inspection;
    const bytes = { sizeBytes, sha256, blobVersion, contentType, facts, warnings };
    return acceptReceived(group, id, { state: 'stored', ...bytes, finalizedAt });
  };
  const change = { datasetId, filenames: [filename], now: finalizedAt, isActivity: true, inspectedAs: role };
  return (await catalog.change(change, transition)) !== undefined;
}
