import { expect, onTestFinished, test } from 'vitest';
import { InspectionPool, type PoolOptions, type SlotRequest } from '../../../src/service/inspection/inspection-pool.js';
import { eventually } from '../../harness/server.js';

function newPool(options: PoolOptions = {}): InspectionPool {
  const pool = new InspectionPool({ processes: 2, ...options });
  onTestFinished(() => pool.close());
  return pool;
}

/** Work that ends when the test says so, or with the reason for which its signal is aborted. */
class HeldWork {
  readonly runs: { readonly signal: AbortSignal; readonly end: () => void }[] = [];
  /** How long each run that was ended took. */
  readonly endedAfterMs: number[] = [];
  readonly ended: Promise<string>;

  constructor(pool: InspectionPool, request: Partial<SlotRequest> & Pick<SlotRequest, 'accountId'>) {
    this.ended = pool.runInSlot({ signal: new AbortController().signal, ...request }, (signal) => this.#run(signal));
    this.ended.catch(() => {});
  }

  #run(signal: AbortSignal): Promise<string> {
    return new Promise((resolve, reject) => {
      const startedAt = performance.now();
      const onAbort = () => {
        this.endedAfterMs.push(performance.now() - startedAt);
        reject(signal.reason);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.runs.push({ signal, end: () => resolve('done') });
    });
  }

  /** Ends the run that has not been aborted, once there is one. */
  async end(): Promise<void> {
    (await eventually(() => this.runs.find(({ signal }) => !signal.aborted))).end();
    expect(await this.ended).toBe('done');
  }
}

const job = (accountId: string) => ({ accountId, isBackground: true });

test('jobs never take the last slot, and files whose clients wait go before jobs', async () => {
  const pool = newPool();
  const jobs = [new HeldWork(pool, job('a')), new HeldWork(pool, job('b'))];
  await eventually(() => jobs[0]!.runs[0]);
  const first = new HeldWork(pool, { accountId: 'a' });
  await eventually(() => first.runs[0]);
  const second = new HeldWork(pool, { accountId: 'a' });
  await jobs[0]!.end();
  await eventually(() => second.runs[0]);
  expect(jobs[1]!.runs).toEqual([]);
  await second.end();
  await eventually(() => jobs[1]!.runs[0]);
  await first.end();
  await jobs[1]!.end();
});

test('a job gives way to one of another account when it has run for its time, and starts again after that', async () => {
  const pool = newPool({ giveWayMs: 1 });
  const long = new HeldWork(pool, job('a'));
  const { signal } = await eventually(() => long.runs[0]);
  const other = new HeldWork(pool, job('b'));
  await eventually(() => signal.aborted || undefined);
  expect(signal.reason).toMatchObject({ message: 'A job of another account is next.' });
  await Promise.all([other.end(), long.end()]);
});

test('each time, it may run for twice as long as before', async () => {
  const pool = newPool({ giveWayMs: 40 });
  const long = new HeldWork(pool, job('a'));
  for (const time of [0, 1, 2]) {
    await eventually(() => long.runs[time]);
    await new HeldWork(pool, job('b')).end();
  }
  await long.end();
  expect(long.endedAfterMs).toHaveLength(3);
  for (const [time, ms] of long.endedAfterMs.entries()) expect(ms).toBeGreaterThan(20 * 2 ** time);
});

test('work that a client waits for does not give way, and an abort has its own reason', async () => {
  const pool = newPool({ giveWayMs: 1 });
  const abort = new AbortController();
  const inline = new HeldWork(pool, { accountId: 'a', signal: abort.signal });
  await eventually(() => inline.runs[0]);
  await new HeldWork(pool, job('b')).end();
  abort.abort(new Error('given up'));
  await expect(inline.ended).rejects.toThrow('given up');
  expect(inline.runs).toHaveLength(1);
  const stop = new AbortController();
  const background = new HeldWork(pool, { ...job('a'), signal: stop.signal });
  await eventually(() => background.runs[0]);
  stop.abort(new Error('stopped'));
  await expect(background.ended).rejects.toThrow('stopped');
});

test('of the work that needs much memory, one runs at a time', async () => {
  const pool = newPool({ processes: 4 });
  const large = { needsMuchMemory: true };
  const works = [
    new HeldWork(pool, { ...job('a'), ...large }),
    new HeldWork(pool, { ...job('b'), ...large }),
    new HeldWork(pool, job('c')),
  ];
  await eventually(() => works[0]!.runs[0]);
  await eventually(() => works[2]!.runs[0]);
  expect(works[1]!.runs).toEqual([]);
  for (const work of works) await work.end();
});
