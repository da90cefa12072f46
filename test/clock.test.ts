import fc from 'fast-check';
import { expect, test } from 'vitest';
import { microsClock } from '../src/clock.js';

const SECOND = 1_000_000;
const HOUR = 3600 * SECOND;

/** A machine whose clock can be set, and whose monotonic time can't. */
function machine() {
  let [wall, monotonic] = [1_000 * HOUR, 0];
  const setBy = (micros: number) => {
    wall += micros;
  };
  const pass = (micros: number) => {
    setBy(micros);
    monotonic += micros;
  };
  const now = microsClock(
    () => wall,
    () => monotonic,
  );
  return { now, wall: () => wall, pass, setBy };
}

test('follows a clock that is set forward at once, and waits for one that is set back', () => {
  const { now, wall, pass, setBy } = machine();
  now();
  setBy(HOUR);
  expect(now()).toBe(wall());
  setBy(-HOUR);
  for (let hour = 0; hour < 21; hour++) {
    pass(HOUR);
    now();
  }
  expect(now() - wall()).toBeLessThan(SECOND);
});

test('always rises, and measures durations to 5 %, however the clock of the machine is set back', () => {
  const step = fc.record({ passed: fc.nat(10 * SECOND), setBack: fc.nat(2 * HOUR) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
      const { now, pass, setBy } = machine();
      const start = now();
      let [passed, last] = [0, start];
      for (const { passed: micros, setBack } of steps) {
        setBy(-setBack);
        pass(micros);
        passed += micros;
        const reading = now();
        expect(reading).toBeGreaterThan(last);
        last = reading;
      }
      expect(last - start).toBeGreaterThanOrEqual(passed * 0.95 - steps.length);
      expect(last - start).toBeLessThanOrEqual(passed + steps.length);
    }),
  );
});
