import { setMaxListeners } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import { InspectionPool, type PoolOptions, type SlotRequest } from '../../../src/service/inspection/inspection-pool.js';
import { limitsOf, type ProcessLimits } from '../../../src/service/inspection/limited-process.js';
import * as media from '../../fixtures/media.js';
import { folderWith } from '../../harness/folder.js';
import { eventually } from '../../harness/server.js';

const PROGRAM = fileURLToPath(new URL('../../fixtures/programs/inspection-program.mjs', import.meta.url));
const LIMITS: ProcessLimits = { maxBytes: 120e6, maxCpuSeconds: 1, maxSleepSeconds: 1 };

const { signal } = new AbortController();
setMaxListeners(0, signal);
const options = { accountId: 'a', signal };

function poolOf(poolOptions: PoolOptions = {}) {
  const pool = new InspectionPool({ processes: 2, ...poolOptions });
  onTestFinished(() => pool.close());
  return pool;
}

/** A pool whose processes run a program that does what the name of the file says. */
const hostilePool = () => poolOf({ program: PROGRAM, limitsOf: () => LIMITS });

type Pool = ReturnType<typeof poolOf>;

const file = (filename: string) => ({ filename, path: '/', sizeBytes: 1000 });

/** What the program says about its process. */
interface ProcessFacts {
  readonly pid: number;
  readonly jobs: number;
  readonly environment: readonly string[];
  readonly priority: number;
  readonly oomScore: number;
  readonly limits: string;
}

async function factsOf(pool: Pool, filename = 'good.png'): Promise<ProcessFacts> {
  const inspection = await pool.inspect(file(filename), options);
  if (!inspection.ok) throw new Error(inspection.problem.message);
  return inspection.facts as unknown as ProcessFacts;
}

describe('a process', () => {
  test('has no secret, a low priority, and limits of the kernel', async () => {
    const { environment, priority, oomScore, limits } = await factsOf(hostilePool());
    expect(environment.filter((name) => !['PWD', 'SHLVL', '_'].includes(name)).sort()).toEqual([
      'MALLOC_ARENA_MAX',
      'UV_THREADPOOL_SIZE',
    ]);
    expect(priority).toBeGreaterThanOrEqual(10);
    expect(oomScore).toBe(900);
    expect(Number(/Max data size\s+(\d+)/.exec(limits)?.[1])).toBeLessThan(1100e6);
    expect(Number(/Max cpu time\s+(\d+)/.exec(limits)?.[1])).toBeLessThan(1000);
    expect(limits).toMatch(/Max core file size\s+0/);
  });

  test('does one job after another, there are no more of them than slots, and they end with the pool', async () => {
    const pool = hostilePool();
    const facts = await Promise.all(Array.from({ length: 20 }, () => factsOf(pool)));
    const pids = new Set(facts.map(({ pid }) => pid));
    expect(pids.size).toBe(2);
    expect(Math.max(...facts.map(({ jobs }) => jobs))).toBeGreaterThan(5);
    expect(pool.queuedFiles).toBe(0);
    await pool.close();
    for (const pid of pids) expect(existsSync(`/proc/${pid}`)).toBe(false);
    await expect(factsOf(pool)).rejects.toThrow('shutting down');
  });
});

test('a process is worn out after 2,000 files, and replaced', async () => {
  const pool = poolOf({ program: PROGRAM });
  const { pid } = await factsOf(pool);
  let last = await factsOf(pool);
  while (last.jobs < 2000 && last.pid === pid) last = await factsOf(pool);
  expect([last.pid, last.jobs, (await factsOf(pool)).jobs]).toEqual([pid, 2000, 1]);
});

test('a process that keeps much memory or is damaged by a file is replaced, and one that is stopped does not hang', async () => {
  const pool = hostilePool();
  const used = await factsOf(pool);
  expect([used.jobs, (await factsOf(pool, 'worn.png')).jobs]).toEqual([1, 1]);
  const { pid: large } = await factsOf(pool, 'large.png');
  const { pid } = await factsOf(pool);
  const stopped = factsOf(pool, 'stop.png');
  await eventually(() => /^State:\s+T/m.test(readFileSync(`/proc/${pid}/status`, 'latin1')) || undefined);
  expect(await pool.inspect(file('hang.png'), options)).toMatchObject({ ok: false });
  process.kill(pid, 'SIGCONT');
  expect([(await stopped).pid, large === pid]).toEqual([pid, false]);
});

test.each([
  ['crash.png', 'crashes its decoder'],
  ['exit.png', 'crashes its decoder'],
  ['babble.png', 'crashes its decoder'],
  ['chatter.png', 'crashes its decoder'],
  ['spin.png', 'takes more than 1 s'],
  ['hang.png', 'does not end'],
  ['grow.png', 'needs more than 120 MB of memory'],
  ['gulp.png', 'needs more than 120 MB of memory'],
])('%s costs only itself if it %s', async (filename, reason) => {
  const pool = hostilePool();
  const before = await factsOf(pool);
  const [inspection, beside] = await Promise.all([pool.inspect(file(filename), options), factsOf(pool)]);
  expect(beside.pid).toBeGreaterThan(0);
  expect(inspection).toEqual({
    ok: false,
    problem: {
      severity: 'error',
      filename,
      code: 'INSPECTION_FAILED',
      message: `The inspection of ${filename} ${reason}. It may be damaged: export it again and upload the new file.`,
    },
  });
  expect(await factsOf(pool)).toMatchObject({ environment: before.environment });
  expect(pool.queuedFiles).toBe(0);
});

test('a budget of processor time ends the process, and says nothing about the file', async () => {
  const pool = hostilePool();
  const { pid } = await factsOf(pool);
  await expect(pool.inspect(file('spin.png'), { ...options, maxSeconds: 0.3 })).rejects.toMatchObject({
    name: 'CpuBudgetSpent',
  });
  await eventually(() => !existsSync(`/proc/${pid}`) || undefined);
  expect(await pool.inspect(file('good.png'), { ...options, maxSeconds: 10 })).toMatchObject({ ok: true });
  expect(await pool.inspect(file('crash.png'), { ...options, maxSeconds: 0.3 })).toMatchObject({ ok: false });
  const secondsOf = (megabytes: number) => limitsOf({ kind: 'image', sizeBytes: megabytes * 1e6 }).maxCpuSeconds;
  expect([0, 100, 100_000].map(secondsOf)).toEqual([20, 70, 600]);
});

describe('an abort', () => {
  test('ends a running inspection at once, and the process with it', async () => {
    const pool = poolOf({ program: PROGRAM });
    const { pid } = await factsOf(pool);
    const abort = new AbortController();
    const hanging = pool.inspect(file('hang.png'), { accountId: 'a', signal: abort.signal });
    hanging.catch(() => {});
    await new Promise((resolve) => setImmediate(resolve));
    abort.abort(new Error('the client is gone'));
    await expect(hanging).rejects.toThrow('the client is gone');
    await expect.poll(() => existsSync(`/proc/${pid}`)).toBe(false);
    await pool.close();
  });

  test('takes a waiting file out of the queue', async () => {
    const pool = poolOf({ program: PROGRAM });
    const running = ['hang.png', 'spin.png'].map((name) => pool.inspect(file(name), options));
    const abort = new AbortController();
    const waiting = pool.inspect(file('good.png'), { accountId: 'a', signal: abort.signal });
    expect(pool.queuedFiles).toBe(3);
    abort.abort(new Error('the client is gone'));
    await expect(waiting).rejects.toThrow('the client is gone');
    expect(pool.queuedFiles).toBe(2);
    // The pool does not wait for a decoder when it is closed.
    await pool.close();
    const outcomes = await Promise.allSettled(running);
    expect(outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason.code)).toEqual([
      'shutting_down',
      'shutting_down',
    ]);
  });
});

test('a process that can’t be started is not the file’s fault', async () => {
  const errors: unknown[] = [];
  const pool = poolOf({ program: '/nowhere.mjs', onError: (error) => errors.push(error) });
  await expect(pool.inspect(file('a.png'), options)).rejects.toMatchObject({ code: 'unavailable' });
  expect(String(errors[0])).toContain('Cannot find module');
});

test('the real program decides by the bytes alone and not by the files before', async () => {
  const good = await media.png({ width: 300, height: 200 });
  const damagedPng = Buffer.from(good);
  damagedPng[good.length >> 1]! ^= 0xff;
  const webp = await media.webp({ width: 300, height: 200 });
  const files: Record<string, Buffer> = {
    'good.png': good,
    'flipped.png': damagedPng,
    'cut.webp': webp.subarray(0, webp.length >> 1),
    'flipped.webp': Buffer.from(webp).fill(0x55, 200, 300),
    'good.jpg': await media.jpeg(),
    'cut.jpg': (await media.jpeg()).subarray(0, 700),
    'flipped.tif': Buffer.from(await media.tiff()).fill(0x55, 20, 60),
  };
  const folder = await folderWith(files);
  const names = Object.keys(files);
  const verdicts = new Map<string, Set<string>>(names.map((name) => [name, new Set()]));
  const inspectIn = async (pool: Pool, filename: string) => {
    const path = join(folder, filename);
    const inspection = await pool.inspect({ filename, path, sizeBytes: files[filename]!.length }, options);
    verdicts.get(filename)?.add(JSON.stringify(inspection));
  };
  const pool = poolOf();
  for (const order of [names, names.toReversed()]) await Promise.all(order.map((name) => inspectIn(pool, name)));
  for (const name of names) {
    const alone = poolOf();
    await inspectIn(alone, name);
    await alone.close();
  }
  expect([...verdicts].filter(([, found]) => found.size !== 1)).toEqual([]);
});

/** Work that ends when the test says so, or with the reason for which its signal is aborted. */
class HeldWork {
  readonly runs: { readonly end: () => void }[] = [];
  readonly ended: Promise<string>;

  constructor(pool: Pool, request: Partial<SlotRequest> & Pick<SlotRequest, 'accountId'>) {
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
  const pool = poolOf();
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

test('a job whose outcome is awaited has its turn between the files of another account', async () => {
  const pool = poolOf();
  const files = Array.from({ length: 3 }, () => new HeldWork(pool, { accountId: 'a' }));
  const awaited = new HeldWork(pool, { accountId: 'b', isBackground: 'awaited' });
  await files[0]!.end();
  await eventually(() => awaited.runs[0]);
  expect(files[2]!.runs).toEqual([]);
  for (const work of [files[1]!, awaited, files[2]!]) await work.end();
});

test('of the work that needs much memory, one runs at a time', async () => {
  const pool = poolOf({ processes: 4 });
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
