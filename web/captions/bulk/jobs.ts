import { type Connect, newChangeId } from '../../session/client.js';
import { Store, warnBeforeLeaving } from '../../ui/store.js';
import { recordChange } from '../../undo/recent-change.js';
import { applyChanges, type BulkResult, summaryOf } from './apply.js';
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
  /** Set once the job has ended. */
  readonly result?: BulkResult;
}

const jobs = new Store<BulkJob>();

warnBeforeLeaving(() => jobs.values().some(({ state }) => state !== 'ended'));

export function useJob(datasetId: string): BulkJob | undefined {
  return jobs.useValue(datasetId);
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
  if (job?.state === 'running') jobs.set({ ...job, state: 'stopping' }, datasetId);
}

export function dismissJob(datasetId: string): void {
  jobs.set(undefined, datasetId);
}

async function run(
  connect: Connect,
  datasetId: string,
  { changeId, title, changes }: Pick<BulkJob, 'changeId' | 'title' | 'changes'>,
): Promise<void> {
  const stateOf = () => jobs.get(datasetId)?.state ?? 'ended';
  if (stateOf() !== 'ended') return;
  const put = (changed: Pick<BulkJob, 'done' | 'state' | 'result'>) =>
    jobs.set({ changeId, title, changes, ...changed }, datasetId);
  put({ done: 0, state: 'running' });
  const result = await applyChanges(connect({ how: 'bulk', id: changeId }), datasetId, changes, {
    isCancelled: () => stateOf() === 'stopping',
    onProgress: (done) => put({ done, state: stateOf() }),
  });
  if (result.changed.length > 0) {
    recordChange(datasetId, { text: `${title}: ${summaryOf(result)}`, title, made: { changeId } });
  }
  if (result.changed.length === changes.length) dismissJob(datasetId);
  else put({ done: changes.length, state: 'ended', result });
}
