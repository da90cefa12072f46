import { expect, test } from 'vitest';
import { tableOf } from '../../src/cli/terminal/text.js';

test('a table has as many rows as a dataset has files', () => {
  const rows = Array.from({ length: 200_000 }, (_, i) => [`${i}.txt`, 'x']);
  const lines = tableOf(rows);
  expect([lines.length, lines[0], lines.at(-1)]).toEqual([200_000, '0.txt       x', '199999.txt  x']);
});
