import { expect, test } from 'vitest';
import { StateCache } from '../../src/storage/state-cache.js';

const entry = (size: number) => ({ value: size, size });

test('the value that was used longest ago is dropped beyond the limit of all values', () => {
  const cache = new StateCache<number>(32);
  for (const id of ['a', 'b', 'c']) cache.set(id, 'READY', entry(9));
  expect(cache.get('a', 'FAILED')).toBeUndefined();
  expect(cache.get('a', 'READY')).toBe(9);
  cache.set('d', 'READY', entry(9));
  expect(['a', 'b', 'c', 'd'].filter((id) => cache.has(id))).toEqual(['a', 'c', 'd']);
  cache.set('c', 'READY', entry(40));
  cache.set('e', 'READY', entry(9));
  expect(['a', 'c', 'd', 'e'].filter((id) => cache.has(id))).toEqual(['a', 'd', 'e']);
  cache.set('a', undefined, entry(1));
  expect(['a', 'd', 'e'].filter((id) => cache.has(id))).toEqual(['d', 'e']);
});
