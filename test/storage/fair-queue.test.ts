import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type AcquireOptions, FairQueue, type Release } from '../../src/storage/limits.js';

/** Work that was granted, or waits. */
interface Work {
  readonly key: string;
  readonly units: number;
  readonly priority: number;
  readonly abort: AbortController;
  release: Release | undefined;
  isAborted: boolean;
}

/** Grants follow in microtasks. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

/** A queue whose work the test ends, in the order in which it was granted. */
class Recorder {
  readonly queue: FairQueue;
  readonly works: Work[] = [];
  readonly granted: Work[] = [];

  constructor(queue: FairQueue) {
    this.queue = queue;
  }

  add(key: string, { units = 1, priority = 0 }: AcquireOptions = {}): Work {
    const abort = new AbortController();
    const work: Work = { key, units, priority, abort, release: undefined, isAborted: false };
    this.works.push(work);
    this.queue.acquire(key, { units, priority, signal: abort.signal }).then(
      (release) => {
        work.release = release;
        this.granted.push(work);
      },
      () => {
        work.isAborted = true;
      },
    );
    return work;
  }

  get waiting(): Work[] {
    return this.works.filter((work) => !work.isAborted && !this.granted.includes(work));
  }

  heldBy(key: string): number {
    return this.granted
      .filter((work) => work.key === key && work.release !== undefined)
      .reduce((sum, w) => sum + w.units, 0);
  }

  end(work: Work): void {
    work.release?.();
    work.release = undefined;
  }
}

const namesOf = (works: readonly Work[]) => works.map(({ key }) => key).join('');

test('a queue serves the highest priority first, and keys round robin, each in the order of its work', async () => {
  const recorder = new Recorder(new FairQueue(1));
  const works = [...'xaaaabbcP'].map((key) => recorder.add(key, { priority: key === 'P' ? 1 : 0 }));
  for (let ended = 0; ended < works.length; ended++) {
    await settled();
    expect(recorder.granted).toHaveLength(ended + 1);
    recorder.end(recorder.granted[ended]!);
  }
  expect(namesOf(recorder.granted)).toBe('xPabcabaa');
  expect(recorder.granted.filter(({ key }) => key === 'a')).toEqual(works.slice(1, 5));
});

test('a queue gives all to one key while no other waits, and then at most half', async () => {
  const recorder = new Recorder(new FairQueue(4));
  for (const key of 'aaaaaa') recorder.add(key);
  await settled();
  expect(namesOf(recorder.granted)).toBe('aaaa');
  for (const key of 'bbb') recorder.add(key);
  for (const work of recorder.granted.slice(0, 3)) recorder.end(work);
  await settled();
  expect(namesOf(recorder.granted)).toBe('aaaabba');
  expect([recorder.heldBy('a'), recorder.heldBy('b')]).toEqual([2, 2]);
});

const steps = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant('add'), key: fc.constantFrom('a', 'b', 'c'), units: fc.nat(9), priority: fc.nat(1) }),
    fc.record({ do: fc.constantFrom('end', 'abort'), at: fc.nat(30) }),
  ),
  { minLength: 20, maxLength: 40 },
);

test('in any order of waits, ends and aborts, units are never lost and never given twice', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 12 }), steps, async (capacity, given) => {
      const recorder = new Recorder(new FairQueue(capacity));
      const { queue } = recorder;
      const half = Math.ceil(capacity / 2);
      for (const step of given) {
        const before = recorder.granted.length;
        const waitedBefore = recorder.waiting;
        if ('key' in step) {
          recorder.add(step.key, { units: 1 + (step.units % capacity), priority: step.priority });
        } else {
          const chosen = recorder.works[step.at % Math.max(1, recorder.works.length)];
          if (step.do === 'end' && chosen !== undefined) recorder.end(chosen);
          else chosen?.abort.abort(new Error('aborted'));
        }
        await settled();
        const held = ['a', 'b', 'c'].map((key) => recorder.heldBy(key));
        expect(queue.held).toBe(held.reduce((sum, units) => sum + units, 0));
        expect(queue.held).toBeLessThanOrEqual(capacity);
        // Each wait that is left needs more than is free, or is behind one that does, or is beyond the half of its key.
        const { waiting } = recorder;
        if (waiting.length > 0) {
          const keys = new Set(waiting.map(({ key }) => key));
          const isStuck = waiting.some(
            ({ key, units }) => units > capacity - queue.held || (keys.size > 1 && recorder.heldBy(key) + units > half),
          );
          expect(isStuck).toBe(true);
        }
        // FIFO within a key and a priority.
        for (const work of recorder.granted.slice(before)) {
          const earlier = waitedBefore.filter(
            (other) => other.key === work.key && other.priority === work.priority && !other.isAborted,
          );
          const behind = earlier.slice(0, Math.max(0, earlier.indexOf(work)));
          expect(behind.filter((other) => !recorder.granted.includes(other))).toEqual([]);
        }
      }
      while (recorder.granted.some(({ release }) => release !== undefined)) {
        for (const work of recorder.granted) recorder.end(work);
        await settled();
      }
      expect(recorder.waiting).toEqual([]);
      expect(queue.held).toBe(0);
    }),
    { numRuns: 100, seed: 1 },
  );
});
