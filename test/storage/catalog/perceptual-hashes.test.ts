import { expect, test } from 'vitest';
import { remove, type StemGroup, store } from '../../../src/dataset/upload-transitions.js';
import { HASH_JOB } from '../../../src/storage/catalog/perceptual-hashes.js';
import { query } from '../../../src/storage/database/database.js';
import { laptop } from '../../harness/author.js';
import { onCatalogs } from '../../harness/backends.js';
import { imageNamed } from '../../harness/stored-image.js';

/** The grace of `catalogs`. */
const GRACE = 1000;

onCatalogs((open) => {
  const openImages = async (...names: string[]) => {
    const { accountId, catalog, database } = await open();
    await catalog.createDataset({ id: 'd', accountId, name: 'd', createdAt: 1 });
    const change = (filename: string, transition: (group: StemGroup) => StemGroup | undefined, now = 1) =>
      catalog.change(
        // Each time is another revision.
        { datasetId: 'd', filenames: [filename], now, isActivity: true, author: { ...laptop, changeId: `${now}` } },
        transition,
      );
    for (const name of names) await change(`${name}.jpg`, (group) => store(group, imageNamed(name), undefined));
    const appearance = (name: string) => ({ hash: `hash of ${name}`, thumbhash: `placeholder of ${name}` });
    const record = (...found: string[]) =>
      catalog.hashes.record('d', new Map(found.map((name) => [imageNamed(name), appearance(name)])));
    const stored = async () => {
      const files = await catalog.storedFilesAfter({ datasetId: 'd', after: '', limit: 10 });
      return Object.fromEntries(files.map(({ id, upload }) => [id, upload.thumbhash]));
    };
    const missing = async () =>
      (await catalog.hashes.missing('d', { kinds: ['image'], limit: 10 })).map(({ id }) => id);
    const hashed = async () => {
      const rows = await database.run(query.selectFrom('perceptual_hash').select('blob_key').orderBy('blob_key'));
      return rows.map((row) => row.blob_key);
    };
    return { accountId, catalog, database, change, record, stored, missing, hashed };
  };

  test('a stored image has a job; once it is hashed, its placeholder is in the file, which is announced', async () => {
    const { accountId, catalog, database, record, stored, missing } = await openImages('a', 'b');
    const jobs = await database.run(query.selectFrom('job').select(['kind', 'key']).where('kind', '=', HASH_JOB));
    expect(jobs).toEqual([{ kind: HASH_JOB, key: 'd' }]);
    expect(await missing()).toEqual(['a', 'b']);
    const announced: unknown[] = [];
    const end = catalog.changes.onAnyChange(
      (id, filenames) => announced.push([id, filenames]),
      () => {},
    );
    const before = await catalog.record({ accountId, id: 'd' });
    await record('a');
    end();
    expect(announced).toEqual([['d', ['a.jpg']]]);
    expect(await stored()).toEqual({ a: 'placeholder of a', b: undefined });
    expect(await missing()).toEqual(['b']);
    const after = await catalog.record({ accountId, id: 'd' });
    // Readers that remember the version read again; the dataset has not changed otherwise.
    expect(after).toEqual({ ...before, version: before!.version + 1 });
  });

  test('a removed and restored image keeps both; the hash is deleted with the blob', async () => {
    const { catalog, change, record, stored, missing, hashed } = await openImages('a', 'b');
    await record('a', 'b');
    await change('a.jpg', (group) => remove(group, 'a.jpg'), 2);
    expect(await stored()).toEqual({ b: 'placeholder of b' });
    expect((await catalog.revisions.files({ datasetId: 'd', number: 1, filenames: ['a.jpg'] }))[0]).toMatchObject({
      upload: { thumbhash: 'placeholder of a' },
    });
    await catalog.restore({ datasetId: 'd', number: 1, author: { ...laptop, how: 'restore' }, now: 3 });
    expect(await stored()).toEqual({ a: 'placeholder of a', b: 'placeholder of b' });
    expect(await missing()).toEqual([]);

    await catalog.deleteDataset({ accountId: (await catalog.records({ ids: ['d'] }))[0]!.accountId, id: 'd' }, 4);
    const due = await catalog.trash.due(4 + GRACE);
    expect(await hashed()).toEqual(['d/a', 'd/b']);
    await catalog.trash.remove(due, 4 + GRACE);
    expect(await hashed()).toEqual([]);
  });
});
