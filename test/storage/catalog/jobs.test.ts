import { describe, expect, test } from 'vitest';
import { enqueue, type JobKind, Jobs, type NewJob } from '../../../src/storage/catalog/jobs.js';
import { catalogs, onEach } from '../../harness/backends.js';

const KIND: JobKind = 'deliver';

const job = (key: string, dueAt: number, accountId = 'a'): NewJob => ({ kind: KIND, key, accountId, dueAt });

onEach(catalogs, (open) => {
  async function openJobs() {
    const { database } = await open();
    const jobs = new Jobs(database);
    const claim = (now: number, accountId = 'a', token = `lease-${now}`) =>
      jobs.claim({ kind: KIND, accountId }, { now, until: now + 100, token });
    return { database, jobs, claim };
  }

  describe('claiming', () => {
    test('takes the job of the account that is due first, once', async () => {
      const { jobs, claim } = await openJobs();
      await jobs.add([job('late', 20), job('early', 10), job('other', 1, 'b')]);
      expect(await claim(9)).toBeUndefined();
      expect(await claim(30)).toMatchObject({ key: 'early', accountId: 'a', failures: 0, payload: {} });
      expect(await claim(30)).toMatchObject({ key: 'late' });
      expect(await claim(30)).toBeUndefined();
    });

    test('takes over a job whose lease has ended, and its first worker can no longer end it', async () => {
      const { jobs, claim } = await openJobs();
      await jobs.add([job('x', 1)]);
      const first = await claim(10);
      expect(await claim(109)).toBeUndefined();
      const second = await claim(110);
      expect(second).toMatchObject({ key: 'x' });
      expect(await jobs.renew(first!, 500)).toBe(false);
      await jobs.finish(first!, 120);
      expect(await jobs.renew(second!, 500)).toBe(true);
    });
  });

  describe('enqueuing again', () => {
    test('keeps the earlier time', async () => {
      const { database, jobs } = await openJobs();
      const dueAt = async () => (await jobs.owners([KIND])).map((owner) => owner.dueAt);
      await jobs.add([job('x', 20)]);
      await jobs.add([job('x', 30)]);
      expect(await dueAt()).toEqual([20]);
      await jobs.add([job('x', 10)]);
      expect(await dueAt()).toEqual([10]);
      await database.transact({ isDurable: true }, ({ send }) => send(enqueue([job('y', 1)])));
      expect(await dueAt(), 'nothing of a transaction that is rolled back').toEqual([10]);
    });

    test('runs a running job once more', async () => {
      const { jobs, claim } = await openJobs();
      await jobs.add([job('x', 1)]);
      const running = await claim(10);
      await jobs.add([{ ...job('x', 50), payload: { second: true } }]);
      expect(await claim(60), 'while its lease lasts').toBeUndefined();
      await jobs.finish(running!, 70);
      const again = await claim(70);
      expect(again).toMatchObject({ key: 'x', payload: { second: true } });
      await jobs.add([job('x', 50)]);
      await jobs.postpone(again!, { now: 80, dueAt: 500 });
      expect(await claim(80), 'before the time that its handler gave').toBeDefined();
    });
  });

  test('a job ends, or is due again, or keeps its error', async () => {
    const { jobs, claim } = await openJobs();
    await jobs.add([job('x', 1)]);
    await jobs.postpone((await claim(10))!, { now: 10, dueAt: 40 });
    expect(await claim(39)).toBeUndefined();
    await jobs.fail((await claim(40))!, { dueAt: 50, error: 'The disk is full.' });
    await jobs.ensure([job('x', 1)]);
    expect(await jobs.counts()).toEqual([
      { kind: KIND, waiting: 1, running: 0, failed: 1, oldestDueAt: 50, error: 'The disk is full.' },
    ]);
    const last = await claim(50);
    expect(last).toMatchObject({ failures: 1 });
    expect(await jobs.counts()).toMatchObject([{ waiting: 0, running: 1, oldestDueAt: undefined }]);
    await jobs.fail(last!, { dueAt: 90, error: 'The disk is full.' });
    await jobs.add([job('x', 60)]);
    const anew = await claim(60);
    expect(anew).toMatchObject({ failures: 0, error: undefined });
    await jobs.finish(anew!, 60);
    expect(await jobs.counts()).toEqual([]);
  });
});
