import { expect, onTestFinished, test } from 'vitest';
import { InspectionPool } from '../../../src/service/inspection/inspection-pool.js';
import { runInTurns } from '../../../src/service/inspection/run-in-turns.js';
import { eventually } from '../../harness/server.js';

function newPool(): InspectionPool {
  const pool = new InspectionPool({ processes: 2 });
  onTestFinished(() => pool.close());
  return pool;
}

/** Work that ends when the test says so, or with the reason for which its signal is aborted. */
class HeldWork {
  readonly runs: { readonly signal: AbortSignal; readonly end: () => void }[] = [];
  /** How long each run that was ended took. */
  readonly endedAfterMs: number[] = [];
  readonly run = (signal: AbortSignal) =>
    new Promise<string>((resolve, reject) => {
      const startedAt = performance.now();
      const onAbort = () => {
        this.endedAfterMs.push(performance.now() - startedAt);
        reject(signal.reason);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.runs.push({ signal, end: () => resolve('done') });
    });
}

const requestOf = (accountId: string, { signal } = new AbortController()) =>
  ({ accountId, expectedSeconds: 3600, isBackground: true, signal }) as const;

test('background work ends when it has run for its time and another account waits, and begins again after that', async () => {
  const pool = newPool();
  const [long, other] = [new HeldWork(), new HeldWork()];
  const longEnded = runInTurns(pool, requestOf('a'), long.run, { firstTurnMs: 1 });
  const { signal } = await eventually(() => long.runs[0]);
  const otherEnded = runInTurns(pool, requestOf('b'), other.run, { firstTurnMs: 1 });
  await eventually(() => signal.aborted || undefined);
  expect(signal.reason).toMatchObject({ message: 'Another account has its turn.' });
  // With so short turns, each is interrupted for the other.
  for (const work of [other, long]) (await eventually(() => work.runs.find((run) => !run.signal.aborted))).end();
  expect(await Promise.all([longEnded, otherEnded])).toEqual(['done', 'done']);
});

test('each turn may be twice as long as the one before', async () => {
  const pool = newPool();
  const long = new HeldWork();
  const longEnded = runInTurns(pool, requestOf('a'), long.run, { firstTurnMs: 40 });
  for (const turn of [0, 1, 2]) {
    await eventually(() => long.runs[turn]);
    await runInTurns(pool, requestOf('b'), async () => {});
  }
  (await eventually(() => long.runs[3])).end();
  await longEnded;
  expect(long.endedAfterMs).toHaveLength(3);
  for (const [turn, ms] of long.endedAfterMs.entries()) expect(ms).toBeGreaterThan(20 * 2 ** turn);
});

test('work that a client waits for is not interrupted, and an abort has its own reason', async () => {
  const pool = newPool();
  const inline = new HeldWork();
  const abort = new AbortController();
  const request = { ...requestOf('a', abort), isBackground: false };
  const ended = runInTurns(pool, request, inline.run, { firstTurnMs: 1 });
  await eventually(() => inline.runs[0]);
  const otherEnded = runInTurns(pool, requestOf('b'), async () => {});
  abort.abort(new Error('given up'));
  await expect(ended).rejects.toThrow('given up');
  await otherEnded;
  expect(inline.runs).toHaveLength(1);
  const background = new HeldWork();
  const stop = new AbortController();
  const stopped = runInTurns(pool, requestOf('a', stop), background.run);
  await eventually(() => background.runs[0]);
  stop.abort(new Error('stopped'));
  await expect(stopped).rejects.toThrow('stopped');
});

test('background work ends at once when an upload needs as much memory', async () => {
  const pool = newPool();
  const large = { needsMuchMemory: true } as const;
  const background = new HeldWork();
  const ended = runInTurns(pool, { ...requestOf('a'), ...large }, background.run);
  const { signal } = await eventually(() => background.runs[0]);
  const upload = { ...requestOf('a'), ...large, isBackground: false, expectedSeconds: 1 };
  expect(await runInTurns(pool, upload, async () => signal.aborted)).toBe(true);
  (await eventually(() => background.runs[1])).end();
  expect(await ended).toBe('done');
});
