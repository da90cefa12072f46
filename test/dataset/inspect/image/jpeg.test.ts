import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp, { type JpegOptions } from 'sharp';
import { describe, expect, test } from 'vitest';
import * as media from '../../../fixtures/media.js';
import { inspectBytes } from '../../../harness/inspecting.js';

const IMAGES = fileURLToPath(new URL('../../../fixtures/images', import.meta.url));
const SIDE = 96;

/** The problem's message; `undefined` for an accepted image. */
async function problemOf(bytes: Buffer): Promise<string | undefined> {
  const found = await inspectBytes('a.jpg', bytes);
  return found.ok ? undefined : found.problem.message;
}

/** Noise over a gradient, so that blocks have long and short codes, runs and zeros. */
async function textured(options: JpegOptions, channels: 1 | 3 = 3): Promise<Buffer> {
  const pixels = Buffer.alloc(SIDE * SIDE * channels);
  let state = 1;
  for (let i = 0; i < pixels.length; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fff_ffff;
    pixels[i] = (i % 256) / 2 + ((state >> 16) % (i > pixels.length / 2 ? 90 : 5));
  }
  return sharp(pixels, { raw: { width: SIDE, height: SIDE, channels } })
    .jpeg(options)
    .toBuffer();
}

const MADE: Record<string, () => Promise<Buffer>> = {
  'baseline, 4:2:0': () => textured({ quality: 80 }),
  'baseline, 4:4:4, standard tables': () =>
    textured({ quality: 95, chromaSubsampling: '4:4:4', optimiseCoding: false }),
  'baseline, grey': () => textured({ quality: 60 }, 1),
  'progressive, 4:2:0': () => textured({ quality: 80, progressive: true }),
  'progressive, 4:4:4': () => textured({ quality: 30, progressive: true, chromaSubsampling: '4:4:4' }),
  'progressive, trellis': () => textured({ quality: 70, mozjpeg: true }),
};
for (const name of [
  'restarts',
  'restarts-in-rows',
  'progressive-restarts',
  'progressive-411',
  'grey',
  'separate-scans',
]) {
  MADE[`${name}.jpg`] = async () => readFileSync(join(IMAGES, `${name}.jpg`));
}

/** Of the first entropy-coded byte. */
function firstCoded(bytes: Buffer): number {
  const scan = bytes.indexOf(Buffer.from([0xff, 0xda]));
  return scan + 2 + bytes.readUInt16BE(scan + 2);
}

describe.each(Object.entries(MADE))('of a JPEG, %s,', (_, make) => {
  test('the intact image is accepted, with bytes after its end and between its segments', async () => {
    const bytes = await make();
    expect(await problemOf(bytes)).toBeUndefined();
    expect(await problemOf(Buffer.concat([bytes, Buffer.from('preview')]))).toBeUndefined();
    const tables = bytes.indexOf(Buffer.from([0xff, 0xc4]));
    const stray = Buffer.concat([bytes.subarray(0, tables), Buffer.from([1, 2, 3]), bytes.subarray(tables)]);
    expect(await problemOf(stray)).toBeUndefined();
  });

  test('a cut that is closed with an end marker is found, wherever it is', async () => {
    const bytes = await make();
    const missed: number[] = [];
    const step = Math.ceil(bytes.length / 60);
    for (let at = firstCoded(bytes); at < bytes.length - 3; at += step) {
      // Before a marker stands the last byte of its segment; what is cut there is whole scans.
      if (bytes[at] === 0xff || bytes[at - 1] === 0xff) continue;
      const cut = Buffer.concat([bytes.subarray(0, at), Buffer.from([0xff, 0xd9])]);
      if ((await problemOf(cut)) === undefined) missed.push(at);
    }
    expect(missed).toEqual([]);
  });

  test('a scan whose marker is damaged is found', async () => {
    const bytes = await make();
    const missed: string[] = [];
    const marker = Buffer.from([0xff, 0xda]);
    for (let at = bytes.indexOf(marker); at !== -1; at = bytes.indexOf(marker, at + 2)) {
      for (const [first, second] of [[0x7f], [0xfe], [0xff, 0xd2], [0xff, 0x00]]) {
        const copy = Buffer.from(bytes);
        copy[at] = first!;
        copy[at + 1] = second ?? 0xda;
        if ((await problemOf(copy)) === undefined) missed.push(`at ${at}: ${first} ${second}`);
      }
    }
    expect(missed).toEqual([]);
  });

  test('added and removed data, a second image and a changed size are found', async () => {
    const bytes = await make();
    const from = firstCoded(bytes);
    const insert = (at: number, ...added: number[]) =>
      Buffer.concat([bytes.subarray(0, at), Buffer.from(added), bytes.subarray(at)]);
    expect(await problemOf(insert(bytes.length - 2, 0x55, 0x55, 0x55))).toMatch(
      /more image data|restart|invalid code|run/,
    );
    expect(await problemOf(insert(bytes.length - 2, 0xff, 0xd8))).toContain('a second image begins inside it');
    const half = from + Math.floor((bytes.length - from) / 2);
    expect(await problemOf(Buffer.concat([bytes.subarray(0, half), bytes]))).toBeDefined();
    const frame = bytes.findIndex((byte, i) => byte === 0xff && [0xc0, 0xc2].includes(bytes[i + 1] ?? 0));
    const taller = Buffer.from(bytes);
    taller.writeUInt16BE(bytes.readUInt16BE(frame + 5) + 16, frame + 5);
    expect(await problemOf(taller)).toMatch(/part of its image data is missing|restart/);
    const shorter = Buffer.from(bytes);
    shorter.writeUInt16BE(bytes.readUInt16BE(frame + 5) - 32, frame + 5);
    expect(await problemOf(shorter)).toMatch(/more image data than pixels|run of its image data/);
  });
});

test('restart markers that are missing, twice or out of order are found', async () => {
  for (const name of ['restarts.jpg', 'restarts-in-rows.jpg', 'progressive-restarts.jpg']) {
    const bytes = readFileSync(join(IMAGES, name));
    const markers = [...bytes.keys()].filter(
      (i) => i > firstCoded(bytes) && bytes[i] === 0xff && bytes[i + 1] === 0xd1,
    );
    expect(markers.length, name).toBeGreaterThan(0);
    const at = markers[0]!;
    const renumbered = Buffer.from(bytes);
    renumbered[at + 1] = 0xd2;
    const marker = bytes.subarray(at, at + 2);
    const damaged = [
      renumbered,
      Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 2)]),
      Buffer.concat([bytes.subarray(0, at), marker, bytes.subarray(at)]),
    ];
    for (const each of damaged) expect(await problemOf(each), name).toBeDefined();
  }
});

test('arithmetic coding, lossless JPEGs and 12 bits per sample are rejected with the reason', async () => {
  const rejected = async (bytes: Buffer, reason: string) =>
    expect(await problemOf(bytes)).toBe(`a.jpg ${reason} Save it as an ordinary JPEG and upload it again.`);
  // Pillow 11.1 reads these two, of 1 kB, and fails on those of more than 64 KiB.
  for (const name of ['arithmetic.jpg', 'arithmetic-progressive.jpg']) {
    const reason = 'uses arithmetic coding, of which the trainer reads small files at most.';
    await rejected(readFileSync(join(IMAGES, name)), reason);
  }
  const bytes = readFileSync(join(IMAGES, 'restarts.jpg'));
  const frame = bytes.indexOf(Buffer.from([0xff, 0xc0]));
  bytes[frame + 1] = 0xc3;
  await rejected(bytes, 'is a lossless or hierarchical JPEG, which the trainer may not be able to read.');
  bytes[frame + 1] = 0xc1;
  bytes[frame + 4] = 12;
  await rejected(bytes, "has 12 bits per sample, which the trainer can't read.");
});

test('more scans than any encoder writes are rejected before they are walked', async () => {
  const bytes = await textured({ progressive: true });
  const last = bytes.lastIndexOf(Buffer.from([0xff, 0xda]));
  const scan = bytes.subarray(last, -2);
  const repeated = Buffer.concat([
    bytes.subarray(0, -2),
    ...Array.from({ length: 600 }, () => scan),
    bytes.subarray(-2),
  ]);
  expect(await problemOf(repeated)).toMatch(/more than 500 scans.*Save it as an ordinary JPEG/);
});

test('damage that libjpeg reports as an error is found, wherever the bytes are', async () => {
  for (const [name, make] of Object.entries(MADE)) {
    const bytes = await make();
    for (let at = 2; at < bytes.length; at += 61) {
      const flipped = media.damaged.flipped(bytes, at);
      const isDecodable = await sharp(flipped, { failOn: 'error' })
        .raw()
        .toBuffer()
        .then(() => true)
        .catch(() => false);
      if (!isDecodable) expect(await problemOf(flipped), `${name}, byte ${at}`).toBeDefined();
    }
  }
});

// libjpeg-turbo ends at each with an error (`jdmarker.c`, `jdinput.c`), and Pillow raises "broken data stream".
test('segments of a wrong length, of arithmetic coding or after the whole image are found', async () => {
  const bytes = readFileSync(join(IMAGES, 'restarts.jpg'));
  const startOf = (marker: number) => bytes.indexOf(Buffer.from([0xff, marker]));
  const scan = startOf(0xda);
  const longer = (marker: number, by: number) => {
    const end = startOf(marker) + 2 + bytes.readUInt16BE(startOf(marker) + 2);
    const copy = Buffer.concat([bytes.subarray(0, end), Buffer.alloc(by), bytes.subarray(end)]);
    copy.writeUInt16BE(copy.readUInt16BE(startOf(marker) + 2) + by, startOf(marker) + 2);
    return copy;
  };
  const inserted = (...segment: number[]) =>
    Buffer.concat([bytes.subarray(0, scan), Buffer.from(segment), bytes.subarray(scan)]);
  const damaged: Record<string, [Buffer, string]> = {
    'frame header': [longer(0xc0, 3), 'invalid length'],
    'scan header': [longer(0xda, 5), 'invalid length'],
    'long restart interval': [longer(0xdd, 1), 'invalid length'],
    'short restart interval': [inserted(0xff, 0xdd, 0, 3, 5), 'invalid length'],
    'arithmetic tables': [inserted(0xff, 0xcc, 0, 4, 33, 0), 'arithmetic coding'],
    extension: [inserted(0xff, 0xc8, 0, 4, 0, 0), 'unknown JPEG marker'],
    // libjpeg-turbo skips this one, but Pillow finds no marker there.
    'marker without content': [inserted(0xff, 0x01), 'unknown JPEG marker'],
    'second scan': [Buffer.concat([bytes.subarray(0, -2), bytes.subarray(scan)]), 'has more image data than pixels'],
  };
  for (const [name, [copy, message]] of Object.entries(damaged)) {
    expect(await problemOf(copy), name).toContain(message);
  }
});
