import { useSyncExternalStore } from 'react';
import { type Connect, newChangeId, signOutIfUnauthorized } from '../../session/client.js';
import { recordChange } from '../../undo/recent-change.js';
import { messageOf } from '../../ui/format.js';
import { type BulkResult, applyChanges, summaryOf } from './apply.js';
import type { CaptionChange } from './plan.js';

/** A change to many captions of a dataset. A dataset has one job: the one that runs, or the last one that has left work. */
export interface BulkJob {
  /** Groups the writes of the job and of its retries in the history of the dataset. */
  readonly changeId: string;
  /** Such as `Prepend “sks” to 12 captions`. */
  readonly title: string;
  readonly changes: readonly CaptionChange[];
  readonly done: number;
  readonly state: 'running' | 'stopping' | 'ended';
  /** Set once the job has ended, unless `error` is. */
  readonly result: BulkResult | undefined;
  /** Why the result is not known. */
  readonly error: string | undefined;
}

// Kept outside the components, so that a job continues while the user visits another page.
const jobs = new Map<string, BulkJob>();
const abortControllers = new Map<string, AbortController>();
const listeners = new Set<() => void>();

addEventListener('beforeunload', (event) => {
  if (abortControllers.size > 0) event.preventDefault();
});

export function useJob(datasetId: string): BulkJob | undefined {
  return useSyncExternalStore(subscribe, () => jobs.get(datasetId));
}

export function startJob(connect: Connect, datasetId: string, title: string, changes: readonly CaptionChange[]): void {
  void run(connect, datasetId, { changeId: newChangeId(), title, changes });
}

/** Runs the last job again. It applies the changes that are not applied yet. */
export function retryJob(connect: Connect, datasetId: string): void {
  const job = jobs.get(datasetId);
  if (job !== undefined) void run(connect, datasetId, job);
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
  connect: Connect,
  datasetId: string,
  { changeId, title, changes }: Pick<BulkJob, 'changeId' | 'title' | 'changes'>,
): Promise<void> {
  if (abortControllers.has(datasetId)) return;
  const abort = new AbortController();
  abortControllers.set(datasetId, abort);
  const started: BulkJob = {
    changeId,
    title,
    changes,
    done: 0,
    state: 'running',
    result: undefined,
    error: undefined,
  };
  put(datasetId, started);
  const onProgress = (done: number) => {
    const job = jobs.get(datasetId);
    if (job !== undefined && job.done !== done) put(datasetId, { ...job, done });
  };
  try {
    const client = connect({ how: 'bulk', id: changeId });
    const result = await applyChanges(client, datasetId, changes, { signal: abort.signal, onProgress });
    if (result.changed.length > 0) {
      recordChange(datasetId, { text: `${title}: ${summaryOf(result)}`, title, made: { changeId } });
    }
    const isWhole = result.changed.length === changes.length;
    put(datasetId, isWhole ? undefined : { ...started, state: 'ended', done: changes.length, result });
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
