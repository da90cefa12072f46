import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { type JobEnd, type JobHandler, JobRunner } from '../../../src/service/jobs/job-runner.js';
import { type Job, type JobKind, Jobs } from '../../../src/storage/catalog/jobs.js';
import type { Database } from '../../../src/storage/database/database.js';
import { onCatalogs } from '../../harness/backends.js';
import { Gate } from '../../harness/gate.js';

const KIND: JobKind = 'deliver';
const SECOND = 1_000_000;
const MINUTE = 60 * SECOND;

onCatalogs((open) => {
  /** A runner with one handler, alone unless a database is given. `ran` has the keys in the order in which they were started. */
  async function start(
    run: (job: Job, signal: AbortSignal) => Promise<JobEnd>,
    {
      database,
      leaseDuration = MINUTE,
      ...handling
    }: Partial<JobHandler> & { database?: Database; leaseDuration?: number } = {},
  ) {
    const jobs = new Jobs(database ?? (await open()).database);
    const ran: string[] = [];
    const errors: unknown[] = [];
    let time = Date.now() * 1000;
    const now = () => time;
    const handler: JobHandler = {
      ...{ kind: KIND, atOnce: 1, ...handling },
      run: (job, signal) => {
        ran.push(job.key);
        return run(job, signal);
      },
    };
    const runner = new JobRunner({
      ...{ jobs, handlers: [handler], now, newId: randomUUID, leaseDuration, isAlone: database === undefined },
      onError: (error) => errors.push(error),
    });
    onTestFinished(() => runner.stop());
    /** The account of a job is the first letter of its key. */
    const add = (...keys: string[]) =>
      jobs.add(keys.map((key) => ({ kind: KIND, key, accountId: key.charAt(0), dueAt: 1 })));
    const advance = (micros: number) => {
      time += micros;
      jobs.wake();
    };
    return { runner, jobs, ran, errors, add, advance, now };
  }

  const done = async (): Promise<JobEnd> => 'done';

  test('gives an account half of the places while others wait', async () => {
    const gate = new Gate();
    const { runner, ran, add } = await start(() => gate.opened.then(done), { atOnce: 4 });
    await add('a1', 'a2', 'a3', 'a4', 'a5', 'b1', 'b2');
    runner.start();
    await expect.poll(() => ran.length).toBe(4);
    expect(ran.toSorted()).toEqual(['a1', 'a2', 'b1', 'b2']);
    gate.open();
    await expect.poll(() => ran.length).toBe(7);
  });

  test('claims jobs round robin by account, and runs at most as many of an account as their handler allows', async () => {
    const alone = await start(done);
    await alone.add('a1', 'a2', 'a3', 'b1', 'b2');
    alone.runner.start();
    await expect.poll(() => alone.ran).toEqual(['a1', 'b1', 'a2', 'b2', 'a3']);
    const gate = new Gate();
    const handling = { atOnce: 3, ofAccount: 1, isFor: (owner: string) => owner !== 'd' };
    const { runner, ran, add } = await start(() => gate.opened.then(done), handling);
    await add('a1', 'a2', 'b1', 'd1');
    runner.start();
    await expect.poll(() => ran).toEqual(['a1', 'b1']);
    await add('e1');
    await expect.poll(() => ran).toEqual(['a1', 'b1', 'e1']);
    gate.open();
  });

  test.each<[Partial<JobHandler>, number[]]>([
    [{}, [2, 4, 8, 16, 32, 60, 60]],
    [{ longestRetry: 10 * SECOND }, [2, 4, 8, 10]],
  ])(
    'tries a failed job again after pauses that double up to a minute, or as %j says, and others when their handler says',
    async (handling, pauses) => {
      const run = async (): Promise<JobEnd> => {
        if (ran.length <= pauses.length) throw new Error('no luck');
        return ran.length === pauses.length + 1 ? { dueAt: now() + 2 * MINUTE } : 'done';
      };
      // Not the length of a pause: the end of its lease is when a running job is due.
      const options = { ...handling, leaseDuration: 90 * SECOND };
      const { runner, ran, errors, jobs, add, advance, now } = await start(run, options);
      await add('x');
      runner.start();
      for (const seconds of [...pauses, 120]) {
        await expect.poll(async () => (await jobs.owners([KIND]))[0]!.dueAt - now()).toBe(seconds * SECOND);
        const failed = seconds === 120 ? { failed: 0, error: undefined } : { failed: 1, error: 'no luck' };
        expect(await jobs.counts()).toMatchObject([{ waiting: 1, running: 0, ...failed }]);
        advance(seconds * SECOND);
      }
      await expect.poll(() => jobs.counts()).toEqual([]);
      expect([errors.length, ran.length]).toEqual([pauses.length, pauses.length + 2]);
    },
  );

  test('renews the lease of a job while it runs, and interrupts a job whose lease is lost', async () => {
    const leaseDuration = SECOND / 10;
    const untilInterrupted = (_: Job, signal: AbortSignal) =>
      once(signal, 'abort').then(() => Promise.reject(signal.reason));
    const { runner, jobs, ran, add, advance, now } = await start(untilInterrupted, { leaseDuration });
    await add('x');
    runner.start();
    await expect.poll(() => ran).toEqual(['x']);
    advance(leaseDuration / 2);
    await expect.poll(async () => (await jobs.owners([KIND]))[0]?.dueAt).toBe(now() + leaseDuration);
    await jobs.releaseAll(now());
    await expect.poll(() => ran).toEqual(['x', 'x']);
  });

  test('interrupts its jobs when it stops, and waits for their end; they are due again at once', async () => {
    const { runner, jobs, ran, add } = await start(async (_, signal) => {
      await once(signal, 'abort');
      // Its end takes longer than that of the search for jobs.
      for (let i = 0; i < 5; i++) await jobs.counts();
      throw signal.reason;
    });
    await add('x');
    runner.start();
    await expect.poll(() => ran).toEqual(['x']);
    await runner.stop();
    expect(await jobs.counts()).toMatchObject([{ waiting: 1, running: 0, failed: 0 }]);
  });

  test('of several processes, each job is run by one', async () => {
    const { database, openAnother } = await open();
    const databases = [database, (await openAnother()).database, (await openAnother()).database];
    const all = await Promise.all(databases.map((each) => start(done, { atOnce: 4, database: each })));
    const keys = Array.from({ length: 40 }, (_, i) => `${i % 10} ${i}`);
    await all[0]!.add(...keys);
    for (const { runner } of all) runner.start();
    await expect.poll(() => all[0]!.jobs.counts()).toEqual([]);
    expect(all.flatMap(({ ran }) => ran).sort()).toEqual(keys.toSorted());
    expect(all.flatMap(({ errors }) => errors)).toEqual([]);
  });
});
