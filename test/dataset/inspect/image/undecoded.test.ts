import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
    expect(hasWarning).toBe(filename !== 'progressive.jpg');
    for (const missing of [1, 2, 3, 5, 9, 13, 40, 300]) {
      const cut = await inspectBytes(filename, media.damaged.cut(bytes, bytes.length - missing));
      // The checksum of the last chunk of a PNG protects no content.
      expect(cut.ok, `${missing}`).toBe(filename.endsWith('.png') && missing <= 4);
    }
  });
});
