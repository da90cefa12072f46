import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync, inflateSync } from 'node:zlib';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { inspect } from '../../../../src/dataset/inspect/inspect.js';
import type { Inspection } from '../../../../src/dataset/inspect/inspection.js';
import * as media from '../../../fixtures/media.js';

vi.setConfig({ testTimeout: 60_000 });

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'inspect-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

let uploads = 0;
function inspectBytes(filename: string, bytes: Buffer): Promise<Inspection> {
  return inspect({ path: media.writeMedia(folder, `upload-${uploads++ % 8}`, bytes), filename });
}

describe('of an image that is too large to be decoded, truncation is detected', () => {
  const flat = (width: number, height: number) => sharp({ create: { width, height, channels: 3, background: '#963' } });
  const makers = {
    'progressive.jpg': () => flat(5300, 5300).jpeg({ progressive: true }).toBuffer(),
    'interlaced.png': () => flat(5300, 5300).png({ progressive: true, compressionLevel: 1 }).toBuffer(),
    'lossless.webp': () => flat(5000, 5000).webp({ lossless: true, effort: 0 }).toBuffer(),
    'declared.avif': async () => {
      const bytes = await media.avif();
      bytes.writeUInt32BE(9000, bytes.indexOf('ispe') + 8);
      bytes.writeUInt32BE(9000, bytes.indexOf('ispe') + 12);
      return bytes;
    },
  };
  test.each(Object.entries(makers))('%s', async (filename, make) => {
    const bytes = await make();
    const found = await inspectBytes(filename, bytes);
    const hasWarning = found.ok && found.warnings.some(({ code }) => code === 'NOT_FULLY_CHECKED');
    expect(found.ok).toBe(true);
    expect(hasWarning).toBe(!['progressive.jpg', 'interlaced.png'].includes(filename));
    for (const missing of [1, 2, 3, 5, 9, 13, 40, 300]) {
      const cut = await inspectBytes(filename, media.damaged.cut(bytes, bytes.length - missing));
      // The checksum of the last chunk of a PNG protects no content.
      expect(cut.ok, `${missing}`).toBe(filename.endsWith('.png') && missing <= 4);
    }
  });

  test('and so is an interlaced PNG of the wrong size or with an invalid filter', async () => {
    const bytes = await makers['interlaced.png']();
    const chunks: [string, Buffer][] = [];
    for (let at = 8; at < bytes.length; at += bytes.readUInt32BE(at) + 12) {
      chunks.push([bytes.toString('latin1', at + 4, at + 8), bytes.subarray(at + 8, at + 8 + bytes.readUInt32BE(at))]);
    }
    const pixels = inflateSync(Buffer.concat(chunks.filter(([type]) => type === 'IDAT').map(([, data]) => data)));
    const end: [string, Buffer] = ['IEND', Buffer.alloc(0)];
    const short = media.pngOf([chunks[0]!, ['IDAT', deflateSync(pixels.subarray(0, -5), { level: 1 })], end]);
    const long = media.pngOf([chunks[0]!, ['IDAT', deflateSync(Buffer.concat([pixels, pixels]), { level: 1 })], end]);
    expect(await inspectBytes('a.png', long)).toMatchObject({ ok: true });
    pixels[0] = 9;
    const unfiltered = media.pngOf([chunks[0]!, ['IDAT', deflateSync(pixels, { level: 1 })], end]);
    expect(await inspectBytes('a.png', short)).toMatchObject({
      problem: { message: expect.stringContaining('fewer pixels') },
    });
    expect(await inspectBytes('a.png', unfiltered)).toMatchObject({
      problem: { message: expect.stringContaining('filter') },
    });
  });
});
