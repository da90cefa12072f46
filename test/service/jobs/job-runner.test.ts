import { expect, onTestFinished, test } from 'vitest';
import { type JobEnd, type JobHandler, JobRunner } from '../../../src/service/jobs/job-runner.js';
import { type Job, type JobKind, Jobs } from '../../../src/storage/catalog/jobs.js';
import { onCatalogs } from '../../harness/backends.js';

const KIND: JobKind = 'deliver';
const MINUTE = 60_000_000;

/** A promise that a test resolves. */
function gate() {
  let release: () => void = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  return { release, released };
}

onCatalogs((open) => {
  /** Starts a runner with one handler. `ran` has the keys in the order in which they were started. */
  async function start(
    run: (job: Job, signal: AbortSignal) => Promise<JobEnd>,
    { atOnce = 1, ofAccount = atOnce, isFor }: Partial<JobHandler> = {},
  ) {
    const { database } = await open();
    const jobs = new Jobs(database);
    const ran: string[] = [];
    const errors: unknown[] = [];
    let ids = 0;
    let offset = 0;
    const now = () => Date.now() * 1000 + offset;
    const handler: JobHandler = {
      kind: KIND,
      atOnce,
      ofAccount,
      ...(isFor && { isFor }),
      run: (job, signal) => {
        ran.push(job.key);
        return run(job, signal);
      },
    };
    const runner = new JobRunner({
      ...{ jobs, handlers: [handler], now, newId: () => `lease-${++ids}`, leaseDuration: MINUTE, isAlone: true },
      onError: (error) => errors.push(error),
    });
    onTestFinished(() => runner.stop());
    const add = (key: string, accountId: string) => jobs.add([{ kind: KIND, key, accountId, dueAt: 1 }]);
    const advance = (micros: number) => {
      offset += micros;
      jobs.wake();
    };
    return { runner, jobs, ran, errors, add, advance };
  }

  test('serves the accounts round robin, whichever enqueued first', async () => {
    const { runner, ran, add } = await start(async () => 'done');
    for (const key of ['a1', 'a2', 'a3']) await add(key, 'a');
    for (const key of ['b1', 'c1']) await add(key, key.slice(0, 1));
    runner.start();
    await expect.poll(() => ran.length).toBe(5);
    expect(ran.slice(0, 3)).toEqual(['a1', 'b1', 'c1']);
  });

  test('gives an account half of the places while others wait', async () => {
    const { release, released } = gate();
    const { runner, ran, add } = await start(() => released.then((): JobEnd => 'done'), { atOnce: 4 });
    for (const key of ['a1', 'a2', 'a3', 'a4', 'a5']) await add(key, 'a');
    for (const key of ['b1', 'b2']) await add(key, 'b');
    runner.start();
    await expect.poll(() => ran.length).toBe(4);
    expect(ran.toSorted()).toEqual(['a1', 'a2', 'b1', 'b2']);
    release();
    await expect.poll(() => ran.length).toBe(7);
  });

  test('keeps a place free for an account that comes later, if the handler says so', async () => {
    const { release, released } = gate();
    const { runner, ran, add } = await start(() => released.then((): JobEnd => 'done'), { atOnce: 3, ofAccount: 2 });
    for (const key of ['a1', 'a2', 'a3']) await add(key, 'a');
    runner.start();
    await expect.poll(() => ran).toEqual(['a1', 'a2']);
    await add('b1', 'b');
    await expect.poll(() => ran).toEqual(['a1', 'a2', 'b1']);
    release();
    await expect.poll(() => ran.length).toBe(4);
  });

  test('tries a failed job again after a pause, and reports it', async () => {
    let failures = 1;
    const { runner, ran, errors, jobs, add, advance } = await start(async () => {
      if (failures-- > 0) throw new Error('no luck');
      return 'done';
    });
    await add('x', 'a');
    runner.start();
    await expect.poll(() => jobs.counts()).toMatchObject([{ failed: 1, error: 'no luck' }]);
    expect(errors).toHaveLength(1);
    advance(MINUTE);
    await expect.poll(() => jobs.counts()).toEqual([]);
    expect(ran).toEqual(['x', 'x']);
  });

  test('runs a job again at the time that its handler gives', async () => {
    let again = true;
    const { runner, ran, jobs, add, advance } = await start(async () => {
      if (!again) return 'done';
      again = false;
      return { dueAt: Date.now() * 1000 + MINUTE };
    });
    await add('x', 'a');
    runner.start();
    await expect.poll(() => ran).toEqual(['x']);
    await expect.poll(() => jobs.counts()).toMatchObject([{ waiting: 1, running: 0 }]);
    advance(2 * MINUTE);
    await expect.poll(() => jobs.counts()).toEqual([]);
  });

  test('interrupts its jobs when it stops, and they are due again at once', async () => {
    const { runner, jobs, ran, add } = await start(
      (_, signal) => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    );
    await add('x', 'a');
    runner.start();
    await expect.poll(() => ran).toEqual(['x']);
    await runner.stop();
    expect(await jobs.counts()).toMatchObject([{ waiting: 1, running: 0, failed: 0 }]);
  });

  test('of several processes, each job is run by one', async () => {
    const { database, openAnother } = await open();
    const keys = Array.from({ length: 40 }, (_, i) => `job-${i}`);
    const owner = (key: string) => `account ${key.slice(-1)}`;
    const jobs = new Jobs(database);
    await jobs.add(keys.map((key) => ({ kind: KIND, key, accountId: owner(key), dueAt: 1 })));
    const ran: string[] = [];
    const errors: unknown[] = [];
    let ids = 0;
    for (const each of [database, (await openAnother()).database, (await openAnother()).database]) {
      const handler: JobHandler = {
        kind: KIND,
        atOnce: 4,
        run: async ({ key }) => {
          ran.push(key);
          return 'done';
        },
      };
      const runner = new JobRunner({
        ...{ jobs: new Jobs(each), handlers: [handler], now: () => Date.now() * 1000, newId: () => `lease-${++ids}` },
        ...{ leaseDuration: MINUTE, isAlone: false, onError: (error) => errors.push(error) },
      });
      onTestFinished(() => runner.stop());
      runner.start();
    }
    await expect.poll(() => jobs.counts()).toEqual([]);
    expect(ran.toSorted()).toEqual(keys.toSorted());
    expect(errors).toEqual([]);
  });

  test('leaves jobs to other processes whose owners it is not for', async () => {
    const { runner, ran, jobs, add } = await start(async () => 'done', { isFor: (id) => id.startsWith('mine/') });
    for (const key of ['theirs/a', 'mine/a', 'mine/b']) await add(key, key);
    runner.start();
    await expect.poll(() => ran).toEqual(['mine/a', 'mine/b']);
    await expect.poll(() => jobs.counts()).toMatchObject([{ waiting: 1, running: 0 }]);
    await jobs.deleteUnclaimed(KIND, { dueBy: 1 });
    expect(await jobs.counts()).toEqual([]);
  });
});
