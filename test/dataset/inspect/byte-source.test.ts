import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { FileBytes } from '../../../src/dataset/inspect/byte-source.js';
import * as media from '../../fixtures/media.js';

const folder = mkdtempSync(join(tmpdir(), 'bytes-'));
afterAll(() => rmSync(folder, { recursive: true }));

const BYTES = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 31 + (i >> 8)) % 256));
const path = media.written(folder, 'any', BYTES);

test('wherever the window ends, a few bytes come whole, and many are a beginning of what is there', () => {
  const read = fc.record({
    // Around the ends of windows is where it can go wrong.
    offset: fc.oneof(fc.nat(BYTES.length), fc.integer({ min: 65_500, max: 65_600 })),
    most: fc.oneof(fc.nat(64), fc.nat(100_000)),
  });
  fc.assert(
    fc.property(fc.array(read, { maxLength: 20 }), (reads) => {
      const file = FileBytes.open(path);
      try {
        for (const { offset, most } of reads) {
          const there = BYTES.subarray(offset, offset + most);
          const found = file.upTo(offset, most);
          expect(found.equals(there.subarray(0, found.length))).toBe(true);
          expect(found.length).toBeGreaterThanOrEqual(Math.min(there.length, 64));
        }
      } finally {
        file.close();
      }
    }),
  );
});

test('what is asked for exactly is there exactly, or the file is called cut short', () => {
  fc.assert(
    fc.property(fc.nat(BYTES.length + 100), fc.nat(100_000), (offset, length) => {
      const file = FileBytes.open(path);
      try {
        if (offset + length > BYTES.length) expect(() => file.at(offset, length)).toThrow();
        else expect(file.at(offset, length).equals(BYTES.subarray(offset, offset + length))).toBe(true);
      } finally {
        file.close();
      }
    }),
  );
});
