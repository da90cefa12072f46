import { recordRecheck } from '../../dataset/check-transitions.js';
import type { Role, StoredFile } from '../../dataset/dataset.js';
import type { Inspection } from '../../dataset/inspect/inspection.js';
import { RECHECK_JOB, type Rechecks } from '../../storage/catalog/rechecks.js';
import { fetchIntact } from '../check/fetch-intact.js';
import { inspectFile } from '../check/inspect-file.js';
import type { ServiceDependencies } from '../dependencies.js';
import type { JobHandler } from '../jobs/job-runner.js';

interface InspectOptions {
  readonly accountId: string;
  /** The role of the dataset. */
  readonly role: Role;
  readonly signal: AbortSignal;
}

/**
 * Reads a stored file, compares it with its SHA-256, inspects it again, and records what it finds. A file that was replaced or
 * removed since the start of the recheck is left alone.
 */
export function inspectAgainJob(
  dependencies: Pick<ServiceDependencies, 'catalog' | 'blobs' | 'inspect' | 'decodeClip' | 'now'>,
  rechecks: Rechecks,
): JobHandler {
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
      const found = await inspectStored(dependencies, file as StoredFile, { accountId, role, signal });
      signal.throwIfAborted();
      const change = {
        ...{ datasetId, filenames: [file.filename], now: now(), isActivity: false, inspectedAs: role },
      };
      await catalog.change(change, (group) => recordRecheck(group, fileId, found));
      await rechecks.recordCheck(datasetId, now());
      return 'done';
    },
  };
}

async function inspectStored(
  dependencies: Parameters<typeof inspectAgainJob>[0],
  file: StoredFile,
  options: InspectOptions,
): Promise<Inspection> {
  const { filename, upload } = file;
  const fetched = await fetchIntact(dependencies.blobs, file, options);
  if ('problem' in fetched) return { ok: false, problem: fetched.problem };
  const { content, discard } = fetched.blob;
  try {
    const toInspect = { filename, sizeBytes: upload.sizeBytes, content };
    const limits = { isBackground: true, maxDecodeSeconds: Number.POSITIVE_INFINITY };
    const { inspection } = await inspectFile(dependencies, toInspect, { ...options, ...limits });
    return inspection;
  } finally {
    await discard();
  }
}
