import { expect, test } from 'vitest';
import type { StoredFile } from '../../../src/dataset/dataset.js';
import { FileRemovals } from '../../../src/service/bulk.js';
import type { ServiceDependencies } from '../../../src/service/dependencies.js';
import { Catalog } from '../../../src/storage/catalog/catalog.js';
import { laptop } from '../../harness/author.js';
import { catalogs, onEach } from '../../harness/backends.js';

const FILES = 220;

function captionOf(stem: string): StoredFile {
  const facts = { kind: 'caption', characters: 1 } as const;
  const bytes = { sizeBytes: 1, sha256: 'ab'.repeat(32), contentType: 'text/plain', facts, warnings: [] };
  const upload = { state: 'stored', ...bytes, blobVersion: null, finalizedAt: 1 } as const;
  return { id: `f${stem}`, datasetId: 'd', filename: `${stem}.txt`, kind: 'caption', createdAt: 1, upload };
}

onEach(catalogs, (open) => {
  test('many files are removed as one revision, each if its condition is met', async () => {
    const { accountId, database } = await open();
    const catalog = new Catalog(database, { blobGrace: 0 });
    await catalog.createDataset({ id: 'd', accountId, name: 'd', createdAt: 0 });
    const filenames = Array.from({ length: FILES }, (_, i) => `${i}.txt`);
    const change = { datasetId: 'd', filenames, now: 1, isActivity: true, author: laptop };
    await catalog.change(change, (_, stem) => [captionOf(stem)]);
    const dependencies = { catalog, now: () => 2 } as unknown as ServiceDependencies;
    const removed = await new FileRemovals(dependencies).files(
      { accountId, id: 'd' },
      [...filenames, 'missing.txt'].reverse(),
      { author: { ...laptop, how: 'delete' }, conditions: new Map([['7.txt', { ifNoneMatch: '*' }]]) },
    );
    expect(removed.revision).toBe(2);
    expect(removed.files.map(({ filename }) => filename)).toEqual([...filenames, 'missing.txt'].reverse());
    const left = removed.files.filter(({ outcome }) => outcome !== 'removed');
    expect(left.map(({ filename, outcome }) => [filename, outcome])).toEqual([
      ['missing.txt', 'missing'],
      ['7.txt', 'conflict'],
    ]);
  });
});
