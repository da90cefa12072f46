import type { TrainyardClient } from '../../../src/client/client.js';
import { type Connect, newChangeId, signOutIfUnauthorized } from '../../session/client.js';
import { countOf, messageOf } from '../../ui/format.js';
import { Store, warnBeforeLeaving } from '../../ui/store.js';
import { recordChange } from '../../undo/recent-change.js';
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
  const record = (summary: string, changed: number, isUnfinished: boolean) => {
    if (changed > 0) recordChange(datasetId, { text: `${title}: ${summary}`, title, made: { changeId }, isUnfinished });
  };
  put({ done: 0, state: 'running' });
  const result = await applyChanges(connect({ how: 'bulk', id: changeId }), datasetId, changes, {
    isCancelled: () => stateOf() === 'stopping',
    onProgress: (done, changed) => {
      put({ done, state: stateOf() });
      // After each request, so that an undo meanwhile is not of the change before.
      record(`${countOf(changed, 'caption')} changed.`, changed, true);
    },
  });
  record(summaryOf(result), result.changed.length, false);
  if (result.changed.length === changes.length) dismissJob(datasetId);
  else put({ done: changes.length, state: 'ended', result });
}

export interface BulkResult {
  readonly changed: readonly CaptionChange[];
  /** Not made, because their captions have changed since the plan was made. */
  readonly skipped: readonly CaptionChange[];
  readonly failed: readonly (CaptionChange & { readonly reason: string })[];
  /** Not made, because the user cancelled. */
  readonly remaining: readonly CaptionChange[];
}

/** `3 captions changed, 1 caption skipped.` */
export function summaryOf({ changed, skipped, failed, remaining }: BulkResult): string {
  const parts = [
    `${countOf(changed.length, 'caption')} changed`,
    remaining.length > 0 && `${countOf(remaining.length, 'caption')} not changed because you cancelled`,
    skipped.length > 0 && `${countOf(skipped.length, 'caption')} skipped`,
    failed.length > 0 && `${countOf(failed.length, 'caption')} failed`,
  ];
  return `${parts.filter(Boolean).join(', ')}.`;
}

/** Progress is reported, and a cancel takes effect, after each request. */
const CAPTIONS_PER_REQUEST = 100;

/**
 * Applies changes, each only if the caption is still the version that it was planned for. A change that was made before counts
 * as changed, so the same changes can be applied again after a failure.
 */
async function applyChanges(
  client: TrainyardClient,
  datasetId: string,
  changes: readonly CaptionChange[],
  { isCancelled, onProgress }: { isCancelled: () => boolean; onProgress: (done: number, changed: number) => void },
): Promise<BulkResult> {
  const [changed, skipped]: [CaptionChange[], CaptionChange[]] = [[], []];
  const failed: BulkResult['failed'][number][] = [];
  let done = 0;
  while (done < changes.length && !isCancelled()) {
    const slice = changes.slice(done, done + CAPTIONS_PER_REQUEST);
    try {
      const texts = slice.map(({ filename, after, ifMatch }) => ({ filename, text: after, ifMatch }));
      const answers = await client.bulk.saveCaptions(datasetId, texts);
      const others = answers.flatMap(({ filename, current }) => (current ? filename : []));
      // What was saved must not count as failed because one of the others can't be read.
      const read = await client.bulk.captions(datasetId, others).catch(() => []);
      const now = new Map(read.map(({ filename, text }) => [filename, text]));
      for (const [index, change] of slice.entries()) {
        const { saved, problem } = answers[index]!;
        if (problem !== undefined) failed.push({ ...change, reason: problem.message });
        else (saved || now.get(change.filename) === change.after ? changed : skipped).push(change);
      }
      done += slice.length;
      onProgress(done, changed.length);
    } catch (error) {
      // The others would fail as well.
      failed.push(...changes.slice(done).map((change) => ({ ...change, reason: messageOf(error) })));
      signOutIfUnauthorized(error);
      done = changes.length;
    }
  }
  return { changed, skipped, failed, remaining: changes.slice(done) };
}
