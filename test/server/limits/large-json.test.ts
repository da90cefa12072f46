import { expect, test } from 'vitest';
import { largeJsonOf } from '../../../src/server/limits/large-json.js';

test.each([0, 1, 250, 251, 1000])('lists and maps of %i items have the JSON of lists and objects', async (count) => {
  const list = Array.from({ length: count }, (_, i) => ({ i, name: `"é ${i}` }));
  const entries = list.map(({ i, name }) => [i === 0 ? '__proto__' : `${name}.jpg`, { i }] as const);
  let pauses = 0;
  const pause = async () => {
    pauses++;
  };
  const json = await largeJsonOf(
    { status: 'READY', absent: undefined, list, map: new Map(entries), last: null },
    { begin: async () => {}, pause },
  );
  const map = Object.fromEntries(entries);
  expect(json.toString()).toBe(JSON.stringify({ status: 'READY', list, map, last: null }));
  expect(pauses).toBe(2 * Math.max(0, Math.ceil(count / 250) - 1));
});
