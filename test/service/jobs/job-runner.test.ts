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
    { atOnce = 1 }: Partial<JobHandler> = {},
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
});
