import { useSyncExternalStore } from 'react';
import type { TrainyardClient } from '../../../src/client/client.js';
import { signOutIfUnauthorized } from '../../session/client.js';
import { messageOf } from '../../ui/format.js';
import { type BulkResult, applyChanges } from './apply.js';
import { type CaptionChange, planUndo } from './plan.js';

/** A change to many captions of a dataset, or its undo. A dataset has one job: the one that runs, or the last one. */
export interface BulkJob {
  /** Such as `Prepend “sks” to 12 captions`. */
  readonly title: string;
  readonly isUndo: boolean;
  readonly changes: readonly CaptionChange[];
  readonly done: number;
  readonly state: 'running' | 'stopping' | 'ended';
  /** Set once the job has ended, unless `error` is. */
  readonly result: BulkResult | undefined;
  /** Why the result is not known. */
  readonly error: string | undefined;
}

// Kept outside the components, so that a job continues, and can be undone, while the user visits another page.
const jobs = new Map<string, BulkJob>();
const abortControllers = new Map<string, AbortController>();
const listeners = new Set<() => void>();

addEventListener('beforeunload', (event) => {
  if (abortControllers.size > 0) event.preventDefault();
});

export function useJob(datasetId: string): BulkJob | undefined {
  return useSyncExternalStore(subscribe, () => jobs.get(datasetId));
}

export function startJob(
  client: TrainyardClient,
  datasetId: string,
  title: string,
  changes: readonly CaptionChange[],
): void {
  void run(client, datasetId, { title, isUndo: false, changes });
}

/** Undoes the changes of the last job, finished or not. */
export function undoJob(client: TrainyardClient, datasetId: string): void {
  const job = jobs.get(datasetId);
  if (job === undefined) return;
  // A failed change may have been applied although its answer was lost, so it is undone as well.
  const untouched = new Set([...(job.result?.skipped ?? []), ...(job.result?.remaining ?? [])]);
  const changes = planUndo(job.changes.filter((change) => !untouched.has(change)));
  void run(client, datasetId, { title: job.title, isUndo: true, changes });
}

/** Runs the last job again. It applies the changes that are not applied yet. */
export function retryJob(client: TrainyardClient, datasetId: string): void {
  const job = jobs.get(datasetId);
  if (job !== undefined) void run(client, datasetId, job);
}

export function cancelJob(datasetId: string): void {
  const job = jobs.get(datasetId);
  if (job?.state !== 'running') return;
  put(datasetId, { ...job, state: 'stopping' });
  abortControllers.get(datasetId)?.abort();
}

export function dismissJob(datasetId: string): void {
  put(datasetId, undefined);
}

async function run(
  client: TrainyardClient,
  datasetId: string,
  { title, isUndo, changes }: Pick<BulkJob, 'title' | 'isUndo' | 'changes'>,
): Promise<void> {
  if (abortControllers.has(datasetId)) return;
  const abort = new AbortController();
  abortControllers.set(datasetId, abort);
  const started: BulkJob = { title, isUndo, changes, done: 0, state: 'running', result: undefined, error: undefined };
  put(datasetId, started);
  const onProgress = (done: number) => {
    const job = jobs.get(datasetId);
    if (job !== undefined && job.done !== done) put(datasetId, { ...job, done });
  };
  try {
    const applied = await applyChanges(client, datasetId, changes, { signal: abort.signal, onProgress });
    put(datasetId, { ...started, state: 'ended', done: changes.length, result: applied });
  } catch (error) {
    put(datasetId, { ...started, state: 'ended', error: abort.signal.aborted ? CANCELLED : messageOf(error) });
    signOutIfUnauthorized(error);
  } finally {
    abortControllers.delete(datasetId);
  }
}

const CANCELLED = 'Cancelled. No caption was changed.';

function put(datasetId: string, job: BulkJob | undefined): void {
  if (job === undefined) jobs.delete(datasetId);
  else jobs.set(datasetId, job);
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
