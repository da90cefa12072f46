import { useSyncExternalStore } from 'react';
import { type TrainyardClient, TrainyardError } from '../../../src/client/client.js';
import { forEachConcurrent } from '../../../src/for-each-concurrent.js';
import { messageOf } from '../../ui/format.js';

const CONCURRENCY = 4;

/** Between two progress reports, each of which renders the grid again. */
const REPORT_MS = 200;

export interface FileToDelete {
  readonly stem: string;
  readonly filename: string;
}

export interface Deletion {
  readonly stems: ReadonlySet<string>;
  readonly total: number;
  readonly done: number;
  readonly isRunning: boolean;
  readonly failures: readonly (FileToDelete & { readonly reason: string })[];
}

const IDLE: Deletion = { stems: new Set(), total: 0, done: 0, isRunning: false, failures: [] };

// Kept outside the components, so that a deletion continues while the user visits another page.
const deletions = new Map<string, Deletion>();
const listeners = new Set<() => void>();

export function useDeletion(datasetId: string): Deletion {
  return useSyncExternalStore(subscribe, () => deletions.get(datasetId) ?? IDLE);
}

interface DeletionOptions {
  readonly client: TrainyardClient;
  readonly datasetId: string;
  /** Fetches the dataset again. */
  readonly refetch: () => Promise<unknown>;
}

/** Deletes files, a few at a time. A file that no longer exists counts as deleted. Failures stay until `dismissFailures`. */
export async function deleteFiles(files: readonly FileToDelete[], options: DeletionOptions): Promise<void> {
  const { client, datasetId, refetch } = options;
  if (deletions.get(datasetId)?.isRunning) return;
  const stems = new Set(files.map(({ stem }) => stem));
  const failures: (FileToDelete & { reason: string })[] = [];
  let done = 0;
  const report = (isRunning: boolean) =>
    put(datasetId, { stems, total: files.length, done, isRunning, failures: [...failures] });
  report(true);
  const reporting = setInterval(report, REPORT_MS, true);
  await forEachConcurrent(files, CONCURRENCY, async (file) => {
    try {
      await client.removeFile(datasetId, file.filename);
    } catch (error) {
      const isGone = error instanceof TrainyardError && error.status === 404;
      if (!isGone) failures.push({ ...file, reason: messageOf(error) });
    }
    done++;
  });
  clearInterval(reporting);
  report(true);
  await refetch();
  put(datasetId, { ...IDLE, failures });
}

export function dismissFailures(datasetId: string): void {
  put(datasetId, IDLE);
}

function put(datasetId: string, deletion: Deletion): void {
  if (deletion.isRunning || deletion.failures.length > 0) deletions.set(datasetId, deletion);
  else deletions.delete(datasetId);
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
