import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { openZip, type PackedEntry } from '../../../src/dataset/import/zip-archive.js';
import { newRoot } from '../../harness/mounting.js';
import { type ZipEntry, zipOf } from '../../hostile/zip.js';

const PIXELS = Buffer.from(Array.from({ length: 10_000 }, (_, i) => (i * i) % 251));

const open = (bytes: Buffer) => openZip(new Blob([new Uint8Array(bytes)]), 'wagons.zip');

const textOf = ({ bytes }: PackedEntry) =>
  bytes().then(
    (content) => Buffer.from(content).toString(),
    (error: Error) => error.message,
  );

/** By path, the text of each entry, or why it can't be read. */
async function contentsOf(bytes: Buffer): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const entry of await open(bytes)) found[entry.path] = entry.fault ?? (await textOf(entry));
  return found;
}

const entryOf = async (entry: Partial<ZipEntry>) => (await contentsOf(zipOf([{ name: 'a.jpg', ...entry }])))['a.jpg'];

describe('openZip', () => {
  test('lists files with their sizes, and reads them more than once', async () => {
    const [first, second, ...rest] = await open(
      zipOf([
        { name: 'wagons/', bytes: '', isStored: true },
        { name: 'wagons/é.jpg', bytes: PIXELS },
        { name: 'wagons\\b.txt', bytes: 'red', isStored: true },
      ]),
    );
    expect([first?.path, first?.sizeBytes, second?.path, rest]).toEqual(['wagons/é.jpg', 10_000, 'wagons/b.txt', []]);
    for (let i = 0; i < 2; i++) expect(Buffer.from(await (await first!.unpacked()).arrayBuffer())).toEqual(PIXELS);
    expect(await textOf(second!)).toBe('red');
  });

  test.each(['../../etc/a.jpg', '..\\a.jpg', '/etc/a.jpg', 'C:\\a.jpg'])('does not read %s', async (name) => {
    const contents = Object.values(await contentsOf(zipOf([{ name }, { name: 'ok.txt', bytes: 'ok' }])));
    expect(contents).toEqual(['Its path leads out of the archive.', 'ok']);
  });

  test('says which entries can not be read, and reads the others', async () => {
    const long = Object.values(await contentsOf(zipOf([{ name: `${'n'.repeat(3000)}.jpg` }])));
    expect(long).toEqual(['Its path is too long.']);
    expect(await entryOf({ flags: 1 })).toMatch(/^It is encrypted\./);
    const ofShiftJis = await contentsOf(zipOf([{ name: Buffer.from('955c2e6a7067', 'hex'), flags: 0 }]));
    expect(Object.values(ofShiftJis)).toEqual([expect.stringMatching(/^Its name is in an encoding/)]);
    expect(await entryOf({ method: 14 })).toMatch(/method that is not supported \(14\)/);
    expect(await entryOf({ unixMode: 0o120777 })).toBe('It is a link and not a file.');
    const twice = zipOf([
      { name: 'a.txt', bytes: 'old' },
      { name: 'a.txt', bytes: 'new' },
    ]);
    expect((await open(twice)).map(({ fault }) => fault)).toEqual([
      'The archive has a later file of this name.',
      undefined,
    ]);
  });

  test('finds damaged bytes and lies about sizes when a file is read', async () => {
    expect(await entryOf({ bytes: PIXELS, crc: 1 })).toMatch(/^the archive is damaged there/);
    expect(await entryOf({ bytes: PIXELS, size: 10 })).toMatch(/^the archive is damaged there/);
    expect(await entryOf({ bytes: PIXELS, size: 20_000 })).toMatch(/^the archive is damaged there/);
    expect(await entryOf({ bytes: PIXELS, packedSize: 7 })).toMatch(/^the archive is damaged there/);
  });

  test('does not unpack what is packed more than images and clips are', async () => {
    const size = 70 * 1024 * 1024;
    expect(await entryOf({ bytes: 'x'.repeat(1000), size })).toMatch(/^It would unpack to 73400320 bytes from/);
    const many = Array.from({ length: 70 }, (_, i) => ({ name: `${i}.jpg`, bytes: 'x', size: 63 * 1024 * 1024 }));
    await expect(open(zipOf(many))).rejects.toThrow('as only an archive made to fill disks does');
  });

  test('names an archive that can not be read', async () => {
    const good = zipOf([{ name: 'a.jpg', bytes: PIXELS }]);
    const bad = [Buffer.alloc(0), Buffer.from('<html>'), good.subarray(0, good.length / 2), good.subarray(0, -5)];
    for (const bytes of [...bad, zipOf([{ name: 'a.jpg' }], { count: 60_000 })]) {
      const error = await open(bytes).catch((thrown) => thrown);
      expect([error.code, error.message]).toEqual([
        'invalid_content',
        expect.stringMatching(/^wagons\.zip can't be read/),
      ]);
    }
  });

  test('ends with words, when random bytes of it are changed', async () => {
    const good = zipOf([
      { name: 'a/1.txt', bytes: 'red wagon '.repeat(20) },
      { name: 'a/2.txt', bytes: 'blue', isStored: true },
    ]);
    const change = fc.record({
      at: fc.nat(good.length - 1),
      to: fc.nat(255),
      cut: fc.integer({ min: 1, max: 5 * good.length }),
    });
    const changes = fc.array(change, { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(changes, async (all) => {
        const bytes = Buffer.from(good.subarray(0, Math.min(...all.map(({ cut }) => cut))));
        for (const { at, to } of all) if (at < bytes.length) bytes[at] = to;
        try {
          for (const entry of await open(bytes)) expect(typeof (entry.fault ?? (await textOf(entry)))).toBe('string');
        } catch (error) {
          expect(error).toMatchObject({ code: 'invalid_content' });
        }
      }),
      { seed: 40, numRuns: 400 },
    );
  });
});

/** By a library that is not ours: deflated, stored, streamed with descriptors after the bytes, and zip64. */
const PYTHON = `
import sys, zipfile
class Pipe:
    def __init__(self, path): self.file = open(path, 'wb')
    def write(self, data): return self.file.write(data)
    def flush(self): self.file.flush()
with zipfile.ZipFile('deflated.zip', 'w', zipfile.ZIP_DEFLATED) as z: z.writestr('wagons/\\u00e9.txt', 'red ' * 100)
with zipfile.ZipFile('stored.zip', 'w') as z: z.writestr('wagons/\\u00e9.txt', 'red ' * 100)
with zipfile.ZipFile(Pipe('streamed.zip'), 'w', zipfile.ZIP_DEFLATED) as z: z.writestr('wagons/\\u00e9.txt', 'red ' * 100)
with zipfile.ZipFile('zip64.zip', 'w') as z:
    with z.open('wagons/\\u00e9.txt', 'w', force_zip64=True) as entry: entry.write(b'red ' * 100)
with zipfile.ZipFile('plain.zip', 'w') as z: z.writestr('wagons/e.txt', 'red ' * 100)
plain = open('plain.zip', 'rb').read()
open('cp437.zip', 'wb').write(plain.replace(b'/e.', b'/\\x82.'))
open('prepended.zip', 'wb').write(b'#!/bin/sh\\n' * 99 + plain.replace(b'/e.', b'/\\x82.'))
with zipfile.ZipFile('lzma.zip', 'w', zipfile.ZIP_LZMA) as z: z.writestr('a.txt', 'red ' * 100)
zipfile.ZipFile('empty.zip', 'w').close()
`;
const hasPython = spawnSync('python3', ['-c', 'import zipfile']).status === 0;

test.skipIf(!hasPython)('reads what the zipfile of Python writes', async () => {
  const cwd = await newRoot();
  expect(spawnSync('python3', ['-c', PYTHON], { cwd })).toMatchObject({ status: 0 });
  for (const name of ['deflated', 'stored', 'streamed', 'zip64', 'cp437', 'prepended']) {
    expect(await contentsOf(readFileSync(join(cwd, `${name}.zip`))), name).toEqual({
      'wagons/é.txt': 'red '.repeat(100),
    });
  }
  expect(await open(readFileSync(join(cwd, 'empty.zip')))).toEqual([]);
  expect(await contentsOf(readFileSync(join(cwd, 'lzma.zip')))).toEqual({ 'a.txt': expect.stringMatching(/\(14\)/) });
});
