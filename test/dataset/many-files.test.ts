import { describe, expect, test } from 'vitest';
import type { StoredFile } from '../../src/dataset/dataset.js';
import { findingsOf } from '../../src/dataset/findings.js';
import type { FileKind } from '../../src/dataset/media.js';

/** More than V8 takes as the arguments of one call. */
const MANY = 150_000;

function stored(filename: string, kind: FileKind): StoredFile {
  const facts = { kind, format: 'mp4', width: 16, height: 16 } as unknown as StoredFile['upload']['facts'];
  const bytes = { sizeBytes: 1, sha256: 'ab', contentType: 'text/plain', facts, warnings: [], blobVersion: null };
  const upload = { state: 'stored', ...bytes, finalizedAt: 1, addedIn: 2 } as const;
  return { id: filename, datasetId: 'd', filename, kind, createdAt: 1, upload };
}

const many = (extension: string, kind: FileKind) =>
  Array.from({ length: MANY }, (_, i) => stored(`${i}.${extension}`, kind));

describe('a dataset of very many files', () => {
  test('has a finding for each caption whose image is not there yet', () => {
    const { errors, warnings } = findingsOf(many('txt', 'caption'), 10);
    expect(errors.length + warnings.length).toBeGreaterThanOrEqual(MANY);
  });

  test('has a finding for each clip of a mask', () => {
    const { errors, warnings } = findingsOf([...many('mp4', 'video'), stored('a.png', 'image')], 10, 'mask');
    expect(errors.length + warnings.length).toBeGreaterThanOrEqual(MANY);
  });
});
