import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { digestOf } from '../../../src/dataset/digest.js';
import { ITEMS_PER_PIECE } from '../../../src/pieces.js';
import { mountDataset } from '../../../src/service/mount/mount.js';
import type { HttpSource } from '../../../src/service/mount/mount-source.js';
import { newRoot } from '../../harness/mounting.js';

test('the manifest of many files is checked in pieces', async () => {
  const files = Array.from({ length: 20_000 }, (_, i) => {
    return { filename: `${i}.jpg`, sizeBytes: 1, sha256: createHash('sha256').update(String(i)).digest('hex') };
  });
  const digest = digestOf(files.map(({ filename, sha256 }) => ({ filename, upload: { sha256 } })));
  const found = {
    datasetId: 'd',
    name: 'many',
    role: 'training',
    revision: 1,
    status: 'READY',
    digest,
    files,
  } as const;
  const source: HttpSource = {
    kind: 'http',
    name: 'http://service',
    manifest: async () => ({ ...found, links: [] }),
    linked: () => source,
    // Ends the mount as soon as the manifest has been checked.
    read: async () => Promise.reject(new Error('no bytes are needed')),
  };
  let pauses = 0;
  const options = { replaces: false, isHardLinked: false, connections: 1, threads: 1, copiesOnMainThread: false };
  const mounting = mountDataset(source, {
    ...options,
    root: await newRoot(),
    wanted: {},
    pieces: { begin: async () => {}, pause: async () => void pauses++ },
    signal: new AbortController().signal,
    onProgress: undefined,
  });
  await expect(mounting).rejects.toThrow('no bytes are needed');
  expect(pauses).toBeGreaterThanOrEqual(files.length / ITEMS_PER_PIECE);
});
