import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { FileBytes } from '../../../src/dataset/inspect/byte-source.js';
import { FOLDER, writeUpload } from '../../harness/inspecting.js';

const BYTES = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 31 + (i >> 8)) % 256));
const path = writeUpload(BYTES);

test('upTo returns 64 bytes or fewer in full and the beginning of longer ranges, at any position of the window', () => {
  const read = fc.record({
    // Offsets near the end of a window are made likely.
    offset: fc.oneof(fc.nat(BYTES.length), fc.integer({ min: 65_500, max: 65_600 })),
    maxBytes: fc.oneof(fc.nat(64), fc.nat(100_000)),
  });
  fc.assert(
    fc.property(fc.array(read, { maxLength: 20 }), (reads) => {
      const file = FileBytes.open(path);
      try {
        for (const { offset, maxBytes } of reads) {
          const expected = BYTES.subarray(offset, offset + maxBytes);
          const found = file.upTo(offset, maxBytes);
          expect(found.equals(expected.subarray(0, found.length))).toBe(true);
          expect(found.length).toBeGreaterThanOrEqual(Math.min(expected.length, 64));
        }
      } finally {
        file.close();
      }
    }),
  );
});

test('a pipe in place of the file is an error, and does not wait for a writer', () => {
  const pipe = join(FOLDER, 'pipe');
  execFileSync('mkfifo', [pipe]);
  expect(() => FileBytes.open(pipe)).toThrow('it is no longer a file');
  expect(() => FileBytes.open(FOLDER)).toThrow('it is no longer a file');
});
