import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { blobKeyOf } from '../../../src/storage/blobs/blobs.js';
import type { ServiceDependencies } from '../../../src/service/dependencies.js';
import { Downloads, type HashedFile } from '../../../src/service/download/downloads.js';
import { readAhead } from '../../../src/service/download/read-ahead.js';
import { tarOf } from '../../../src/service/download/tar.js';

const TEXT = Buffer.from('a dog');
const sha256 = createHash('sha256').update(TEXT).digest('hex');

function captionsOf(datasetId: string, count: number): HashedFile[] {
  const upload = { sizeBytes: TEXT.length, finalizedAt: 1, blobVersion: null, sha256 };
  return Array.from({ length: count }, (_, i) => {
    return { id: `${datasetId}${i}`, datasetId, filename: `${i}.txt`, kind: 'caption', upload } as HashedFile;
  });
}

/** Downloads from a store that answers when it is told to; `waiting` are its reads, the oldest first. */
function heldDownloads() {
  const waiting: { key: string; answer: () => void }[] = [];
  const read = (key: string) =>
    new Promise<Readable>((resolve) => {
      waiting.push({ key, answer: () => resolve(Readable.from([TEXT])) });
    });
  const downloads = new Downloads({ blobs: { read } } as unknown as ServiceDependencies);
  return { downloads, waiting };
}

test('of many answers with captions and of many archives, 64 small files are read at a time', async () => {
  const { downloads, waiting } = heldDownloads();
  const captions = captionsOf('many', 100);
  const texts = Promise.all(Array.from({ length: 10 }, () => downloads.texts('account', captions)));
  const sizes = Array.from({ length: 10 }, async () => {
    const { open, sizeBytes } = tarOf(captions, (file) => downloads.archived('account', file));
    let bytes = 0;
    for await (const chunk of open()) bytes += (chunk as Buffer).length;
    expect(bytes).toBe(sizeBytes);
  });
  let read = 0;
  while (read < 2000) {
    await turn();
    expect(waiting.length).toBeLessThanOrEqual(64);
    read += waiting.length;
    for (const { answer } of waiting.splice(0)) answer();
  }
  for (const found of await texts) expect([...found.values()]).toEqual(Array(100).fill('a dog'));
  await Promise.all(sizes);
});

test('of a caption of another account, the store is asked before the many that wait', async () => {
  const { downloads, waiting } = heldDownloads();
  const captions = captionsOf('many', 100);
  const many = Promise.all(Array.from({ length: 10 }, () => downloads.texts('account', captions)));
  const [own] = captionsOf('own', 1);
  const other = downloads.texts('other', [own!]);
  await turn();
  expect(waiting).toHaveLength(64);
  for (const { answer } of waiting.splice(0, 2)) answer();
  await turn();
  expect(waiting.map(({ key }) => key)).toContain(blobKeyOf(own!));
  const answers = setInterval(() => {
    for (const { answer } of waiting.splice(0)) answer();
  });
  await Promise.all([many, other]).finally(() => clearInterval(answers));
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
