import type { CompleteFile, Micros, ReceivedFile } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import type { Inspection } from '../../dataset/inspect/inspection.js';
import { acceptReceived, recordRecheck, rejectReceived, type StemGroup } from '../../dataset/upload-transitions.js';
import { type BlobReader, measureBlob } from '../../storage/blobs/blobs.js';
import type { Catalog } from '../../storage/catalog/catalog.js';
import { fileWithBlob, RECHECK_JOB, recordCheck, VERIFY_JOB } from '../../storage/catalog/verification.js';
import type { Database } from '../../storage/database/database.js';
import { fetchIntact, inspectFile } from '../check.js';
import type { InspectorOptions, ServiceDependencies } from '../dependencies.js';
import type { JobHandler } from './job-runner.js';

type CheckDependencies = Pick<ServiceDependencies, 'catalog' | 'blobs' | 'inspect' | 'decodeClip' | 'now'>;

/**
 * Checks a received file, whose id is the key, and stores or rejects it. A file that has changed since is left alone.
 *
 * @param options.ofAccount few, since each holds a copy of a remote file. One more job, of another account, may run.
 */
export function checkFileJob(
  dependencies: CheckDependencies,
  options: { ofAccount: number; onChecked: (file: ReceivedFile, inspection: Inspection) => void },
): JobHandler {
  const { catalog, now } = dependencies;
  return {
    kind: 'check-file',
    atOnce: options.ofAccount + 1,
    ofAccount: options.ofAccount,
    run: async ({ key: id, accountId, error }, signal) => {
      const file = await catalog.file(id);
      const [dataset] = file === undefined ? [] : await catalog.records({ ids: [file.datasetId] });
      if (file?.upload.state !== 'received' || dataset === undefined) return 'done';
      const received = file as ReceivedFile;
      const { role } = dataset;
      const awaited = { accountId, role, signal, isBackground: 'awaited' } as const;
      const inspection = await inspectStored(dependencies, received, awaited);
      signal.throwIfAborted();
      if (!inspection.ok && inspection.problem.code === 'BYTES_LOST') {
        // The bytes of a rejected file are deleted, so one wrong answer of the store must not be enough.
        const message = `${inspection.problem.message} It is read once more before that is certain.`;
        if (error !== message) throw new ServiceError('unavailable', message);
      }
      const { datasetId, filename } = file;
      const finalizedAt = now();
      const change = { datasetId, filenames: [filename], now: finalizedAt, isActivity: true, inspectedAs: role };
      const changed = await catalog.change(change, (group) => judged(group, received, { inspection, finalizedAt }));
      if (changed !== undefined) options.onChecked(received, inspection);
      return 'done';
    },
  };
}

function judged(
  group: StemGroup,
  { id, upload }: ReceivedFile,
  { inspection, finalizedAt }: { inspection: Inspection; finalizedAt: Micros },
): StemGroup | undefined {
  if (!inspection.ok) return rejectReceived(group, id, { state: 'rejected', problem: inspection.problem, finalizedAt });
  const { sizeBytes, sha256, blobVersion } = upload;
  const { contentType, facts, warnings } = inspection;
  const bytes = { sizeBytes, sha256, blobVersion, contentType, facts, warnings };
  return acceptReceived(group, id, { state: 'stored', ...bytes, finalizedAt });
}

/** Compares a stored file with its SHA-256, inspects it again, and records the result. A file that has changed since is left alone. */
export function inspectAgainJob(dependencies: CheckDependencies, database: Database): JobHandler {
  const { catalog, now } = dependencies;
  return {
    kind: RECHECK_JOB,
    // One of each account, if several wait.
    atOnce: 2,
    run: async ({ key, accountId }, signal) => {
      const [datasetId = '', fileId = ''] = key.split('/');
      // Read before the file: after a later change of the role, the job runs once more.
      const dataset = await catalog.record({ accountId, id: datasetId });
      const file = await catalog.file(fileId);
      if (dataset === undefined || file?.upload.state !== 'stored') return 'done';
      const { role } = dataset;
      const options = { accountId, role, signal, isBackground: true };
      const found = await inspectStored(dependencies, file as CompleteFile, options);
      signal.throwIfAborted();
      const change = { datasetId, filenames: [file.filename], now: now(), isActivity: false, inspectedAs: role };
      await catalog.change(change, (group) => recordRecheck(group, fileId, found));
      await recordCheck(database, datasetId, now());
      return 'done';
    },
  };
}

/** Compares a stored or past file with its SHA-256. Lost bytes make the dataset FAILED, until they are back. */
export function verifyBlobJob(
  dependencies: { catalog: Catalog; database: Database; blobs: Pick<BlobReader, 'read'>; now: () => Micros },
  { atOnce }: { atOnce: number },
): JobHandler {
  return {
    kind: VERIFY_JOB,
    atOnce,
    run: async ({ key: fileId }, signal) => {
      const file = await fileWithBlob(dependencies.database, fileId);
      if (file === undefined) return 'done';
      const { blobs } = dependencies;
      const fetched = await fetchIntact({ fetch: (key, options) => measureBlob(blobs, key, options) }, file, {
        signal,
      });
      signal.throwIfAborted();
      const problem = 'problem' in fetched ? fetched.problem : undefined;
      const known = 'problem' in file.upload ? file.upload.problem : undefined;
      // One that was found damaged stays so, since bytes that come back would clear it.
      if (known !== undefined && known.code !== 'BYTES_LOST') return 'done';
      if (problem?.message !== known?.message)
        await dependencies.catalog.recordBytes(file, problem, dependencies.now());
      return 'done';
    },
  };
}

async function inspectStored(
  dependencies: CheckDependencies,
  file: CompleteFile,
  options: Pick<InspectorOptions, 'accountId' | 'role' | 'signal' | 'isBackground'>,
): Promise<Inspection> {
  const fetched = await fetchIntact(dependencies.blobs, file, options);
  if ('problem' in fetched) return { ok: false, problem: fetched.problem };
  const { path, discard } = fetched.blob;
  try {
    const { filename, upload } = file;
    const toInspect = { filename, sizeBytes: upload.sizeBytes, path };
    return (await inspectFile(dependencies, toInspect, options)).inspection;
  } finally {
    await discard();
  }
}
