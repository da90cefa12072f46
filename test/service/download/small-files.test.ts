import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import { readAhead } from '../../../src/service/download/read-ahead.js';

test('what many archives read ahead is bounded, and the files of each are in order', async () => {
  const size = 64 * 1024;
  const files = Array.from({ length: 20 }, (_, i) => ({
    id: `${i}`,
    filename: `${i}.txt`,
    upload: { sizeBytes: size, finalizedAt: 1 },
  }));
  let opened = 0;
  const readings = Array.from({ length: 500 }, () =>
    readAhead(files, async () => {
      opened++;
      return Readable.from([Buffer.alloc(size)]);
    }),
  );
  const begun = [];
  for (const reading of readings) begun.push((await reading.next()).value!);
  expect(opened * size).toBeLessThan(200 * 1024 * 1024);
  const last = readings.at(-1)!;
  const inOrder = [begun.at(-1)!];
  for (const { bytes } of inOrder) {
    for await (const chunk of bytes) expect(chunk).toHaveLength(size);
    // The others end in between, so that more is read ahead.
    if (inOrder.length === 2) for (const other of readings.slice(0, -1)) await other.return(undefined);
    const next = await last.next();
    if (!next.done) inOrder.push(next.value);
  }
  expect(inOrder.map(({ file }) => file.filename)).toEqual(files.map(({ filename }) => filename));
});
