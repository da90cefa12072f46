import { execFile } from 'node:child_process';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import type { StoredFile } from '../../../src/dataset/dataset.js';
import { zipOf } from '../../../src/service/download/zip.js';
import { imageNamed } from '../../harness/stored-image.js';
import { newRoot } from '../../harness/mounting.js';

const run = promisify(execFile);
const MIB = 1024 * 1024;

function fileOf(filename: string, sizeBytes: number): StoredFile {
  const { upload, ...file } = imageNamed(filename);
  return { ...file, filename, upload: { ...upload, sizeBytes, finalizedAt: Date.UTC(2031, 1, 3, 4, 5, 6) * 1000 } };
}

/** Writes an archive to a sparse file, and checks its size against the stated one. */
async function written({ sizeBytes, open: start }: ReturnType<typeof zipOf>): Promise<string> {
  const path = join(await newRoot(), 'archive.zip');
  const file = await open(path, 'w');
  let [bytes, writtenBytes] = [0, 0];
  let unwritten: Buffer[] = [];
  const write = async () => {
    await file.write(Buffer.concat(unwritten), 0, bytes - writtenBytes, writtenBytes);
    unwritten = [];
  };
  for await (const chunk of start() as AsyncIterable<Buffer>) {
    const isHole = chunk.buffer === ZEROS.buffer;
    if (isHole && unwritten.length > 0) await write();
    else if (!isHole) unwritten.push(chunk);
    bytes += chunk.length;
    if (isHole) writtenBytes = bytes;
  }
  await write();
  await file.close();
  expect(bytes).toBe(sizeBytes);
  return path;
}

/** Reads an archive with Python's zipfile, an independent implementation. */
async function readByPython(path: string, expression: string): Promise<unknown> {
  const script = `import json, sys, zipfile\nz = zipfile.ZipFile(sys.argv[1])\nprint(json.dumps(${expression}))`;
  const { stdout } = await run('python3', ['-c', script, path], { maxBuffer: 64 * MIB });
  return JSON.parse(stdout);
}

const ZEROS = Buffer.alloc(16 * MIB);

/** Zeros of the file's size; a text for a small file. */
async function read({ upload }: StoredFile): Promise<Readable> {
  if (upload.sizeBytes < MIB) return Readable.from([Buffer.alloc(upload.sizeBytes, 'x')]);
  const chunks = function* () {
    for (let left = upload.sizeBytes; left > 0; left -= ZEROS.length) yield ZEROS.subarray(0, left);
  };
  return Readable.from(chunks());
}

test('a file of 4 GiB and one after it can be read from the archive', async () => {
  const sizes = { 'a.txt': 3, 'large.mp4': 2 ** 32, 'z.txt': 5 };
  const files = Object.entries(sizes).map(([name, size]) => fileOf(name, size));
  const path = await written(zipOf(files, read));
  const seen = '[i.filename, i.file_size, i.compress_size, i.date_time, i.extract_version]';
  const entries = await readByPython(path, `[${seen} for i in z.infolist()]`);
  const entry = (name: keyof typeof sizes, version: number) => {
    return [name, sizes[name], sizes[name], [2031, 2, 3, 4, 5, 6], version];
  };
  expect(entries).toEqual([entry('a.txt', 20), entry('large.mp4', 45), entry('z.txt', 45)]);
  const contents = '[z.read("a.txt").decode(), z.read("z.txt").decode(), z.open("large.mp4").read(9).hex()]';
  const texts = await readByPython(path, contents);
  expect(texts).toEqual(['xxx', 'xxxxx', '00'.repeat(9)]);
  // Two independent readers.
  expect((await run('unzip', ['-p', path, 'z.txt'])).stdout).toBe('xxxxx');
});

test.each([
  ['fewer', 3, 5],
  ['more', 7, 5],
  ['fewer of a large file', MIB, MIB + 1],
])('a file with %s bytes than recorded destroys the stream before its end', async (_, actual, known) => {
  const files = [fileOf('a.txt', 3), fileOf('b.txt', known), fileOf('c.txt', 3)];
  const { open: start, sizeBytes = 0 } = zipOf(files, (file) =>
    read(file === files[1] ? fileOf('b.txt', actual) : file),
  );
  let bytes = 0;
  const all = (async () => {
    for await (const chunk of start()) bytes += chunk.length;
  })();
  const message = expect.stringContaining(`b.txt (b.txt) no longer has ${known} bytes`);
  await expect(all).rejects.toMatchObject({ code: 'bytes_replaced', message });
  expect(bytes).toBeLessThan(sizeBytes);
});
