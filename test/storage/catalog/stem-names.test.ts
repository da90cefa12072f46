import { expect, test } from 'vitest';
import type { DatasetFile, PendingFile, StoredFile } from '../../../src/dataset/dataset.js';
import { MEDIA } from '../../../src/dataset/media.js';
import { remove, reserve, store } from '../../../src/dataset/upload-transitions.js';
import { catalogs, onEach } from '../../harness/backends.js';

const EXTENSIONS = Object.keys(MEDIA);
const ALLOWED = EXTENSIONS.map((extension) => `a${extension}`);
const ONE_MORE = 'a.TXT';

let ids = 0;

const pending = (filename: string, via: 'direct' | 'link'): PendingFile => {
  const upload = { state: 'pending', via, expectedBytes: via === 'link' ? 1 : null, expiresAt: 900 } as const;
  const lease = { leaseUntil: null, leaseToken: null };
  return {
    id: `stem-${++ids}`,
    datasetId: 'd',
    filename,
    kind: 'caption',
    createdAt: 1,
    upload: { ...upload, ...lease },
  };
};

const stored = (filename: string): StoredFile => {
  const facts = { kind: 'caption', characters: 1 } as const;
  const bytes = { sizeBytes: 1, sha256: 'ab', contentType: 'text/plain', blobVersion: null };
  const upload = { state: 'stored', ...bytes, facts, warnings: [], finalizedAt: 5 } as const;
  return { id: `stem-${++ids}`, datasetId: 'd', filename, kind: 'caption', createdAt: 1, upload };
};

onEach(
  catalogs,
  (open) => {
    const openDataset = async () => {
      const { catalog, accountId } = await open();
      await catalog.createDataset({ id: 'd', accountId, name: 'd', createdAt: 1 });
      const change = { datasetId: 'd', now: 50, isActivity: true };
      const named = (filename: string) => ({ ...change, filenames: [filename] });
      return {
        catalog,
        named,
        byLink: (filename: string) =>
          catalog.change(named(filename), (group) => reserve(group, pending(filename, 'link'))),
        directly: (filename: string) => catalog.reserveDirect({ accountId, file: pending(filename, 'direct') }),
        save: (filename: string) =>
          catalog.change(named(filename), (group) => store(group, stored(filename), undefined)),
        /** As a version without the limit did. */
        fill: (files: readonly DatasetFile[]) =>
          catalog.change({ ...change, filenames: files.map(({ filename }) => filename) }, () => files),
        names: async () => new Set((await catalog.files('d')).map(({ filename }) => filename)),
      };
    };
    const refusal = expect.objectContaining({
      code: 'invalid_name',
      message: expect.stringMatching(/ 20 names .*a\.TXT/),
    });

    test('a stem has one name for each extension, however a further one is added', async () => {
      const { byLink, directly, save, names, catalog, named } = await openDataset();
      for (const [i, filename] of ALLOWED.entries()) await (i % 2 === 0 ? byLink : directly)(filename);
      for (const add of [byLink, directly, save]) {
        await expect(add(ONE_MORE)).rejects.toEqual(refusal);
        expect(await names()).toEqual(new Set(ALLOWED));
      }
      // Other stems, and names that it has.
      for (const add of [byLink, directly, save]) for (const name of ['b.TXT', 'a.txt']) await add(name);
      await catalog.change(named('a.jpg'), (group) => remove(group, 'a.jpg'));
      await save(ONE_MORE);
      expect(await names()).toEqual(new Set([...ALLOWED.filter((name) => name !== 'a.jpg'), 'b.TXT', ONE_MORE]));
    });
  },
  { othersAreLong: true },
);
