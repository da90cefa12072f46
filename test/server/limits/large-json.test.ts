import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { ITEMS_PER_PIECE } from '../../../src/pieces.js';
import { jsonOfParts, largeJsonOf } from '../../../src/server/limits/large-json.js';

test.each([0, 1, ITEMS_PER_PIECE, ITEMS_PER_PIECE + 1, 4 * ITEMS_PER_PIECE])(
  'a list of %i items has the JSON of a list',
  async (count) => {
    const list = Array.from({ length: count }, (_, i) => ({ i, name: `"é ${i}` }));
    let pauses = 0;
    const pause = async () => {
      pauses++;
    };
    const json = await largeJsonOf(
      { status: 'READY', absent: undefined, list, last: null },
      { begin: async () => {}, pause },
    );
    expect(json.toString()).toBe(JSON.stringify({ status: 'READY', list, last: null }));
    expect(pauses).toBe(Math.max(0, Math.ceil(count / ITEMS_PER_PIECE) - 1));
  },
);

test.each([0, 1, 3])('%i parts have the JSON of one object', async (count) => {
  const parts = Array.from({ length: count }, (_, i) => ({ [`"é ${i}`]: { i }, [`${i}.jpg`]: null }));
  const json = await jsonOfParts('files', Readable.from(parts));
  expect(json.toString()).toBe(JSON.stringify({ files: Object.assign({}, ...parts) }));
});
