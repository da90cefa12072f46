import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { DatasetFile, StoredFile } from '../../src/dataset/dataset.js';
import { digestOf, digestSteps } from '../../src/dataset/digest.js';
import { findingSteps, findingsOf } from '../../src/dataset/findings.js';
import { stemGroupsOf } from '../../src/dataset/counts.js';
import { provePairSteps } from '../../src/dataset/pairs/pair-proof.js';
import { finish, sortSteps } from '../../src/pieces.js';

/* Other requests wait for each piece of work, so that a piece must not grow with the files of a dataset. */

const FILES = 40_000;
/** Names that one piece may read: each comparison of a sort reads some. */
const MAX_READS = 30_000;

/** Counts the reads of names in each piece. */
class NameReads {
  readonly #ofPieces: number[] = [];
  #ofPiece = 0;

  file(filename: string, kind: DatasetFile['kind']): StoredFile {
    const facts = { kind, format: 'jpeg', width: 16, height: 16 } as unknown as StoredFile['upload']['facts'];
    const bytes = { sizeBytes: 1, sha256: 'ab', contentType: 'text/plain', facts, warnings: [], blobVersion: null };
    const upload = { state: 'stored', ...bytes, finalizedAt: 1, addedIn: 2 } as const;
    const read = () => {
      this.#ofPiece++;
      return filename;
    };
    return {
      ...{ id: filename, datasetId: 'd', kind, createdAt: 1, upload },
      get filename() {
        return read();
      },
    };
  }

  /** The result of work, and the most reads in one of its pieces. */
  during<T>(steps: Generator<void, T>): { result: T; most: number } {
    this.#ofPieces.length = 0;
    this.#ofPiece = 0;
    for (;;) {
      const { done, value } = steps.next();
      this.#ofPieces.push(this.#ofPiece);
      this.#ofPiece = 0;
      if (done) return { result: value, most: Math.max(...this.#ofPieces) };
    }
  }
}

/** In an order that is neither that of the names nor its reverse. */
function many(reads: NameReads, extension: string, kind: DatasetFile['kind']): StoredFile[] {
  return Array.from({ length: FILES }, (_, i) => reads.file(`${(i * 7919) % FILES}.${extension}`, kind));
}

test('the findings of many captions are made in pieces', () => {
  const reads = new NameReads();
  const files = many(reads, 'txt', 'caption');
  const { result, most } = reads.during(findingSteps(files, 10, 'training'));
  expect(result.warnings).toHaveLength(FILES);
  expect(result).toEqual(findingsOf(files, 10));
  expect(most).toBeLessThan(MAX_READS);
});

test('the digest of many files is made in pieces', () => {
  const reads = new NameReads();
  const files = many(reads, 'jpg', 'image');
  const { result, most } = reads.during(digestSteps(files));
  expect(result).toBe(digestOf(files.toReversed()));
  // Each name is also read once to see how to sort it.
  expect(most).toBeLessThan(FILES + MAX_READS);
});

test('many pairs are judged in pieces', () => {
  const reads = new NameReads();
  const target = stemGroupsOf(many(reads, 'jpg', 'image'));
  const { result, most } = reads.during(provePairSteps(target, new Map(), 'control_1'));
  expect(result.missing).toHaveLength(FILES);
  expect(most).toBeLessThan(MAX_READS);
});

test('sorting in pieces is a stable sort', () => {
  const items = fc.array(fc.integer({ min: 0, max: 500 }), { maxLength: 8000, size: 'max' });
  const property = fc.property(items, (keys) => {
    const items = keys.map((key, place) => ({ key, place }));
    const compare = (a: { key: number }, b: { key: number }) => a.key - b.key;
    expect(finish(sortSteps(items, compare))).toEqual(items.toSorted(compare));
  });
  fc.assert(property, { numRuns: 20 });
});
