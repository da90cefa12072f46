import { expect, test } from 'vitest';
import { RememberedStatuses } from '../../../src/server/limits/remembered-statuses.js';

const MIB = 1024 * 1024;

test('the status that was not asked for longest is forgotten when others need the memory', () => {
  const statuses = new RememberedStatuses();
  for (const id of ['a', 'b', 'c']) statuses.remember(id, 'READY', Buffer.alloc(9 * MIB));
  expect(statuses.find('a', 'FAILED')).toBeUndefined();
  expect(statuses.find('a', 'READY')).toHaveLength(9 * MIB);
  statuses.remember('d', 'READY', Buffer.alloc(9 * MIB));
  expect(['a', 'b', 'c', 'd'].filter((id) => statuses.has(id))).toEqual(['a', 'c', 'd']);
  statuses.remember('c', 'READY', Buffer.alloc(40 * MIB));
  statuses.remember('e', 'READY', Buffer.alloc(9 * MIB));
  expect(['a', 'c', 'd', 'e'].filter((id) => statuses.has(id))).toEqual(['a', 'd', 'e']);
  statuses.remember('a', undefined, Buffer.alloc(1));
  expect(['a', 'd', 'e'].filter((id) => statuses.has(id))).toEqual(['d', 'e']);
});
