import { Readable } from 'node:stream';
import { expect, test } from 'vitest';
import type { StoredFile } from '../../../src/dataset/dataset.js';
import { readAhead } from '../../../src/service/download/read-ahead.js';
import { tarOf } from '../../../src/service/download/tar.js';

/** Files of one byte; `timesRead` counts how often the times were read, which only headers have. */
function manyFiles() {
  const counted = { timesRead: 0 };
  const files = Array.from({ length: 1000 }, (_, i) => {
    const upload = {
      sizeBytes: 1,
      get finalizedAt() {
        counted.timesRead++;
        return 1;
      },
    };
    return { id: `${i}`, filename: `${i}${'é'.repeat(i % 120)}.txt`, upload } as StoredFile;
  });
  return { files, counted };
}

async function bytesIn(stream: Readable): Promise<number> {
  let bytes = 0;
  for await (const chunk of stream) bytes += (chunk as Buffer).length;
  return bytes;
}

const read = async () => Readable.from([Buffer.from('x')]);

test('the size of a tar archive is computed without its headers', async () => {
  const { files, counted } = manyFiles();
  const { sizeBytes, open } = tarOf(files, read);
  expect(counted.timesRead).toBe(0);
  expect(await bytesIn(open())).toBe(sizeBytes);
});

test('of files of a few bytes, some dozens are read ahead', async () => {
  const { files } = manyFiles();
  let opened = 0;
  const reading = readAhead(files, async () => {
    opened++;
    return Readable.from([Buffer.from('x')]);
  });
  let inOrder = 0;
  for await (const { file, bytes } of reading) {
    expect(file).toBe(files[inOrder]);
    expect(opened - inOrder).toBeLessThanOrEqual(64);
    for await (const chunk of bytes) expect(String(chunk)).toBe('x');
    inOrder++;
  }
  expect(inOrder).toBe(files.length);
});

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
