import { expect, onTestFinished, test } from 'vitest';
import { InspectionPool, type SlotRequest } from '../../../src/service/inspection/inspection-pool.js';
import { eventually } from '../../harness/server.js';

function newPool(processes = 2): InspectionPool {
  const pool = new InspectionPool({ processes });
  onTestFinished(() => pool.close());
  return pool;
}

/** Work that ends when the test says so, or with the reason for which its signal is aborted. */
class HeldWork {
  readonly runs: { readonly end: () => void }[] = [];
  readonly ended: Promise<string>;

  constructor(pool: InspectionPool, request: Partial<SlotRequest> & Pick<SlotRequest, 'accountId'>) {
    this.ended = pool.runInSlot({ signal: new AbortController().signal, ...request }, (signal) => this.#run(signal));
    this.ended.catch(() => {});
  }

  #run(signal: AbortSignal): Promise<string> {
    return new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      this.runs.push({ end: () => resolve('done') });
    });
  }

  /** Ends the run, once there is one. */
  async end(): Promise<void> {
    (await eventually(() => this.runs[0])).end();
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

test('of the work that needs much memory, one runs at a time', async () => {
  const pool = newPool(4);
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
