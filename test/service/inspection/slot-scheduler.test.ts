import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SlotScheduler } from '../../../src/service/inspection/slot-scheduler.js';
import { eventually } from '../../harness/server.js';

interface TaskPlan {
  readonly accountId: string;
  readonly expectedSeconds: number;
  /** What it really takes, if different. */
  readonly seconds?: number;
  /** When it arrives; 0 by default. */
  readonly at?: number;
  readonly isBackground?: boolean;
  readonly needsMuchMemory?: boolean;
}

interface Finished extends TaskPlan {
  readonly startedAt: number;
  readonly endedAt: number;
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

/** Runs tasks in simulated time. Returns them in the order of their starts. */
async function simulate(slots: number, plans: readonly TaskPlan[]): Promise<Finished[]> {
  const clock = { now: 0 };
  const scheduler = new SlotScheduler({ slots, now: () => clock.now });
  const started: Finished[] = [];
  const events = plans.map((plan) => ({ at: plan.at ?? 0, happen: () => arrive(plan) }));
  const ended: Promise<void>[] = [];
  const arrive = (plan: TaskPlan) => {
    const { seconds = plan.expectedSeconds } = plan;
    const request = { ...plan, signal: new AbortController().signal };
    const work = () => {
      const endedAt = clock.now + seconds;
      started.push({ ...plan, startedAt: clock.now, endedAt });
      return new Promise<void>((resolve) => events.push({ at: endedAt, happen: resolve }));
    };
    ended.push(scheduler.run(request, work));
  };
  while (events.length > 0) {
    events.sort((a, b) => a.at - b.at);
    const next = events.shift()!;
    clock.now = next.at;
    next.happen();
    if (events[0]?.at !== clock.now) await settled();
  }
  await Promise.all(ended);
  expect(scheduler.size).toBe(0);
  return started;
}

const times = (count: number, plan: TaskPlan): TaskPlan[] => Array.from({ length: count }, () => plan);
const only = (finished: readonly Finished[], id: string) => finished.filter(({ accountId }) => accountId === id);

describe('slots', () => {
  const plans = fc.array(
    fc.record({
      accountId: fc.constantFrom('a', 'b', 'c'),
      expectedSeconds: fc.constantFrom(0.1, 1, 5, 30),
      seconds: fc.constantFrom(0.1, 1, 20),
      at: fc.integer({ min: 0, max: 50 }),
    }),
    { maxLength: 60 },
  );

  test('all tasks run, never more than there are slots, and never long ones in all of them', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 2, max: 4 }), plans, async (slots, tasks) => {
        const finished = await simulate(slots, tasks);
        expect(finished).toHaveLength(tasks.length);
        for (const { startedAt } of finished) {
          const running = finished.filter((other) => other.startedAt <= startedAt && other.endedAt > startedAt);
          expect(running.length).toBeLessThanOrEqual(slots);
          expect(running.filter(({ expectedSeconds }) => expectedSeconds > 2).length).toBeLessThan(slots);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('no slot is free while a task that may run waits', async () => {
    await fc.assert(
      fc.asyncProperty(plans, async (tasks) => {
        const short = tasks.map((task) => ({ ...task, expectedSeconds: 1 }));
        const finished = await simulate(2, short);
        for (const { at = 0, startedAt } of finished) {
          if (startedAt === at) continue;
          // It waited until the moment at which another task ended.
          expect(finished.some(({ endedAt }) => endedAt === startedAt)).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe('accounts', () => {
  test('get the same time, however many tasks one of them has', async () => {
    const finished = await simulate(2, [
      ...times(400, { accountId: 'a', expectedSeconds: 1 }),
      ...times(40, { accountId: 'b', expectedSeconds: 1 }),
      ...times(40, { accountId: 'c', expectedSeconds: 1 }),
    ]);
    const first = finished.slice(0, 90);
    expect(only(first, 'b').length).toBeGreaterThan(27);
    expect(only(first, 'c').length).toBeGreaterThan(27);
  });

  test('get the same time, not the same number of tasks', async () => {
    const finished = await simulate(2, [
      ...times(200, { accountId: 'slow', expectedSeconds: 0.5, seconds: 1.9 }),
      ...times(200, { accountId: 'quick', expectedSeconds: 0.1 }),
    ]);
    const lastQuick = only(finished, 'quick').at(-1)!;
    const slowBefore = only(finished, 'slow').filter(({ startedAt }) => startedAt < lastQuick.endedAt);
    // The quick account needs 20 s in all, so the slow one gets about as much meanwhile.
    expect(slowBefore.length).toBeLessThan(17);
  });

  test('that come later wait for one running task, not for the queue', async () => {
    const finished = await simulate(2, [
      ...times(100, { accountId: 'hostile', expectedSeconds: 0.1, seconds: 20 }),
      ...times(20, { accountId: 'b', expectedSeconds: 0.1, at: 7 }),
    ]);
    for (const { startedAt } of only(finished, 'b')) expect(startedAt).toBeLessThanOrEqual(22);
  });

  test('whose tasks overran do not get all slots for a minute', async () => {
    const clock = { now: 0 };
    const scheduler = new SlotScheduler({ slots: 2, now: () => clock.now });
    const { signal } = new AbortController();
    const request = { accountId: 'a', expectedSeconds: 0.1, signal };
    const overrun = scheduler.run(request, async () => scheduler.distrust('a'));
    const ends: (() => void)[] = [];
    const begin = () => void scheduler.run(request, () => new Promise<void>((resolve) => ends.push(resolve)));
    begin();
    await overrun;
    begin();
    begin();
    await settled();
    expect(ends).toHaveLength(1);
    // Another account still gets the second slot.
    let hasRun = false;
    await scheduler.run({ ...request, accountId: 'b' }, async () => {
      hasRun = true;
    });
    expect(hasRun).toBe(true);
    clock.now = 61;
    begin();
    await settled();
    expect(ends).toHaveLength(2);
  });
});

describe('long tasks', () => {
  test('wait behind short ones of their own account and of others', async () => {
    const finished = await simulate(2, [
      ...times(2, { accountId: 'a', expectedSeconds: 1 }),
      ...times(3, { accountId: 'a', expectedSeconds: 10 }),
      ...times(10, { accountId: 'a', expectedSeconds: 0.5 }),
      ...times(10, { accountId: 'b', expectedSeconds: 0.5 }),
    ]);
    const lastShort = finished.findLastIndex(({ expectedSeconds }) => expectedSeconds < 2);
    expect(finished.slice(0, lastShort).filter(({ expectedSeconds }) => expectedSeconds > 2)).toEqual([]);
  });

  test('start in the end, though short ones never cease', async () => {
    const stream = Array.from({ length: 400 }, (_, i) => ({
      accountId: 'a',
      expectedSeconds: 1,
      at: Math.floor(i / 3),
    }));
    const finished = await simulate(2, [...stream, { accountId: 'a', expectedSeconds: 100, at: 5 }]);
    const long = finished.find(({ expectedSeconds }) => expectedSeconds === 100);
    expect(long?.startedAt).toBeLessThan(40);
  });

  test('the shortest goes first', async () => {
    const finished = await simulate(2, [
      { accountId: 'a', expectedSeconds: 3 },
      ...[50, 8, 20, 9].map((expectedSeconds) => ({ accountId: 'a', expectedSeconds })),
    ]);
    expect(finished.map(({ expectedSeconds }) => expectedSeconds)).toEqual([3, 8, 9, 20, 50]);
  });
});

describe('an aborted task', () => {
  test('leaves the queue, and rejects with the reason', async () => {
    const scheduler = new SlotScheduler({ slots: 2, now: () => 0 });
    const { signal } = new AbortController();
    const ends: (() => void)[] = [];
    const running = [1, 2].map(() =>
      scheduler.run({ accountId: 'a', expectedSeconds: 1, signal }, () => new Promise<void>((end) => ends.push(end))),
    );
    const abort = new AbortController();
    let hasRun = false;
    const waiting = scheduler.run({ accountId: 'a', expectedSeconds: 1, signal: abort.signal }, async () => {
      hasRun = true;
    });
    expect(scheduler.size).toBe(3);
    abort.abort(new Error('given up'));
    await expect(waiting).rejects.toThrow('given up');
    expect(scheduler.size).toBe(2);
    for (const end of ends) end();
    await Promise.all(running);
    expect(hasRun).toBe(false);
    await expect(
      scheduler.run({ accountId: 'a', expectedSeconds: 1, signal: abort.signal }, async () => {}),
    ).rejects.toThrow('given up');
  });
});

describe('background tasks', () => {
  const hours: TaskPlan = { accountId: 'b', expectedSeconds: 7200, isBackground: true };

  test('run one at a time on a few slots, and start only if a slot stays free, until they have waited for 30 s', async () => {
    const plans = fc.array(
      fc.record({
        accountId: fc.constantFrom('a', 'b'),
        expectedSeconds: fc.constantFrom(0.1, 1, 5, 30),
        at: fc.integer({ min: 0, max: 50 }),
        isBackground: fc.boolean(),
      }),
      { maxLength: 40 },
    );
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 2, max: 4 }), plans, async (slots, tasks) => {
        const finished = await simulate(slots, tasks);
        expect(finished).toHaveLength(tasks.length);
        for (const [index, task] of finished.entries()) {
          if (!task.isBackground) continue;
          const { startedAt, at = 0 } = task;
          const earlier = finished.slice(0, index).filter(({ endedAt }) => endedAt > startedAt);
          expect(earlier.filter(({ isBackground }) => isBackground)).toEqual([]);
          if (startedAt - at < 30) expect(earlier.length).toBeLessThan(slots - 1);
        }
      }),
      { numRuns: 100 },
    );
  });

  test('of hours hold up neither long nor short tasks, of their own account or of others', async () => {
    const finished = await simulate(2, [
      ...times(3, hours),
      ...times(5, { accountId: 'a', expectedSeconds: 10, at: 5 }),
      ...times(5, { accountId: 'b', expectedSeconds: 10, at: 5 }),
      ...times(5, { accountId: 'b', expectedSeconds: 0.1, at: 7 }),
    ]);
    const others = finished.filter(({ isBackground }) => !isBackground);
    // They have one slot: the short ones wait for one long task, and the long ones for each other.
    expect(Math.max(...others.map(({ endedAt }) => endedAt))).toBeLessThan(107);
    expect(Math.max(...others.filter((task) => task.at === 7).map(({ endedAt }) => endedAt))).toBeLessThan(16);
  });
});

describe('tasks that need much memory', () => {
  test('run one at a time, and keep no others waiting', async () => {
    const plans = fc.array(
      fc.record({
        accountId: fc.constantFrom('a', 'b'),
        expectedSeconds: fc.constantFrom(0.1, 1),
        at: fc.integer({ min: 0, max: 20 }),
        needsMuchMemory: fc.boolean(),
      }),
      { maxLength: 40 },
    );
    await fc.assert(
      fc.asyncProperty(plans, async (tasks) => {
        const finished = await simulate(2, tasks);
        expect(finished).toHaveLength(tasks.length);
        for (const { startedAt, at = 0, needsMuchMemory } of finished) {
          const running = finished.filter((other) => other.startedAt <= startedAt && other.endedAt > startedAt);
          expect(running.filter((other) => other.needsMuchMemory).length).toBeLessThanOrEqual(1);
          // It waited until the moment at which another task ended.
          if (!needsMuchMemory && startedAt > at) {
            expect(finished.some(({ endedAt }) => endedAt === startedAt)).toBe(true);
          }
        }
      }),
      { numRuns: 60 },
    );
  });

  test('of an account that has many do not go before that of another account', async () => {
    const large = { expectedSeconds: 1, needsMuchMemory: true };
    const finished = await simulate(2, [
      ...times(50, { ...large, accountId: 'a' }),
      { ...large, accountId: 'b', at: 5.5 },
    ]);
    expect(only(finished, 'b')[0]?.startedAt).toBeLessThanOrEqual(7);
  });
});

test('it is known whether the end of a background task is awaited', async () => {
  const scheduler = new SlotScheduler({ slots: 2, now: () => 0 });
  const { signal } = new AbortController();
  const ends: (() => void)[] = [];
  const requestOf = (accountId: string, isBackground: boolean, needsMuchMemory = false) =>
    ({ accountId, isBackground, needsMuchMemory, expectedSeconds: 1, signal }) as const;
  const begin = (...request: Parameters<typeof requestOf>) =>
    scheduler.run(requestOf(...request), () => new Promise<void>((end) => ends.push(end)));
  const isAwaited = (accountId: string, { isTurnOver = true, needsMuchMemory = false } = {}) =>
    scheduler.isAwaited(requestOf(accountId, true, needsMuchMemory), { isTurnOver });
  const running = [begin('a', true, true), begin('b', false), begin('b', false), begin('a', true)];
  expect([isAwaited('a'), isAwaited('b')]).toEqual([false, true]);
  running.push(begin('b', true));
  expect([isAwaited('a'), isAwaited('a', { isTurnOver: false })]).toEqual([true, false]);
  running.push(begin('a', false, true));
  const waitsForMemory = { isTurnOver: false, needsMuchMemory: true };
  expect([isAwaited('a', waitsForMemory), isAwaited('a', { isTurnOver: false })]).toEqual([true, false]);
  await eventually(() => {
    for (const end of ends.splice(0)) end();
    return scheduler.size === 0 || undefined;
  });
  await Promise.all(running);
});
