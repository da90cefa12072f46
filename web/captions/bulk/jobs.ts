import { useSyncExternalStore } from 'react';
import type { TrainyardClient } from '../../../src/client/client.js';
import { signOutIfUnauthorized } from '../../session/client.js';
import { messageOf } from '../../ui/format.js';
import { type BulkResult, applyChanges } from './apply.js';
import { type CaptionChange, planUndo } from './plan.js';

/** A change to many captions of a dataset, or the undo of one: under way, or the last one that was. */
export interface BulkJob {
  /** In words, such as `“sks” before 12 captions`. */
  readonly title: string;
  readonly isUndo: boolean;
  readonly changes: readonly CaptionChange[];
  readonly done: number;
  readonly state: 'running' | 'stopping' | 'ended';
  /** What has become of it, once that is known. */
  readonly result: BulkResult | undefined;
  /** Why it is not known. */
  readonly error: string | undefined;
}

/*
 * Jobs go on, and the last one can be undone, while the person looks at something else.
 */
const jobs = new Map<string, BulkJob>();
const aborts = new Map<string, AbortController>();
const listeners = new Set<() => void>();

addEventListener('beforeunload', (event) => {
  if (aborts.size > 0) event.preventDefault();
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

/** Takes back all that the last job has made, whether it came to its end or not. */
export function undoJob(client: TrainyardClient, datasetId: string): void {
  const job = jobs.get(datasetId);
  if (job === undefined) return;
  // Not what was never touched; but of what failed, some may have arrived although the answer did not.
  const untouched = new Set([...(job.result?.skipped ?? []), ...(job.result?.remaining ?? [])]);
  const changes = planUndo(job.changes.filter((change) => !untouched.has(change)));
  void run(client, datasetId, { title: job.title, isUndo: true, changes });
}

/** The same once more, which makes what is not made yet. */
export function retryJob(client: TrainyardClient, datasetId: string): void {
  const job = jobs.get(datasetId);
  if (job !== undefined) void run(client, datasetId, job);
}

export function cancelJob(datasetId: string): void {
  const job = jobs.get(datasetId);
  if (job?.state !== 'running') return;
  put(datasetId, { ...job, state: 'stopping' });
  aborts.get(datasetId)?.abort();
}

export function dismissJob(datasetId: string): void {
  put(datasetId, undefined);
}

async function run(
  client: TrainyardClient,
  datasetId: string,
  { title, isUndo, changes }: Pick<BulkJob, 'title' | 'isUndo' | 'changes'>,
): Promise<void> {
  if (aborts.has(datasetId)) return;
  const abort = new AbortController();
  aborts.set(datasetId, abort);
  const begun: BulkJob = { title, isUndo, changes, done: 0, state: 'running', result: undefined, error: undefined };
  put(datasetId, begun);
  const onProgress = (done: number) => {
    const job = jobs.get(datasetId);
    if (job !== undefined && job.done !== done) put(datasetId, { ...job, done });
  };
  try {
    const applied = await applyChanges(client, datasetId, changes, { signal: abort.signal, onProgress });
    put(datasetId, { ...begun, state: 'ended', done: changes.length, result: applied });
  } catch (error) {
    put(datasetId, { ...begun, state: 'ended', error: abort.signal.aborted ? CANCELLED : messageOf(error) });
    signOutIfUnauthorized(error);
  } finally {
    aborts.delete(datasetId);
  }
}

const CANCELLED = 'Cancelled before anything was changed.';

function put(datasetId: string, job: BulkJob | undefined): void {
  if (job === undefined) jobs.delete(datasetId);
  else jobs.set(datasetId, job);
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
