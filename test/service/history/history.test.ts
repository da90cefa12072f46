import { expect, test } from 'vitest';
import type { DatasetFile } from '../../../src/dataset/dataset.js';
import { digestOf } from '../../../src/dataset/digest.js';
import { store } from '../../../src/dataset/upload-transitions.js';
import { revisionViews } from '../../../src/service/history.js';
import { Catalog } from '../../../src/storage/catalog/catalog.js';
import type { Database } from '../../../src/storage/database/database.js';
import { laptop } from '../../harness/author.js';
import { onCatalogs } from '../../harness/backends.js';
import { imageNamed, LOST } from '../../harness/stored-image.js';

const digestOfNames = (...names: string[]) => digestOf(names.map(imageNamed));

onCatalogs((open) => {
  /** A control dataset with one image without a caption: READY, which a training dataset would not be. */
  const openControl = async () => {
    const opened = await open();
    const { accountId, catalog, database } = opened;
    const key = { accountId, id: 'd' };
    await catalog.createDataset({ ...key, name: 'd', role: 'control', createdAt: 1 });
    const change = (name: string, transition: (group: readonly DatasetFile[]) => DatasetFile[]) =>
      catalog.change(
        { datasetId: 'd', filenames: [`${name}.jpg`], now: 1, isActivity: true, author: laptop },
        transition,
      );
    const put = (name: string, id = name) =>
      change(name, (group) => [...store(group, { ...imageNamed(name), id }, undefined)]);
    await put('a');
    let meanwhile: (() => Promise<unknown>) | undefined;
    const read: Database['read'] = async (...args) => {
      const rows = await database.read(...args);
      const work = meanwhile;
      meanwhile = undefined;
      await work?.();
      return rows;
    };
    const paused = new Catalog({ ...database, read }, { blobGrace: 0 });
    /** The states of the revisions; `work` runs when the files of one were read, before its digest is stored. */
    const list = async (work?: () => Promise<unknown>) => {
      meanwhile = work;
      const views = await revisionViews(paused, (await catalog.dataset(key))!, await catalog.revisions.page('d'));
      return views.map(({ digest, isReady }) => ({ digest, isReady }));
    };
    const storedDigest = async () => (await catalog.revisions.find('d', 1))!.digest;
    return { ...opened, key, change, put, list, storedDigest };
  };

  test('the digest of a revision is that of its files, and is computed again after a change joined it, also at the same time', async () => {
    const { list, put, storedDigest } = await openControl();
    expect(await storedDigest()).toBeNull();
    expect(await list()).toEqual([{ digest: digestOfNames('a'), isReady: true }]);
    expect(await storedDigest()).toBe(digestOfNames('a'));
    await put('b');
    await list(() => put('c'));
    expect(await storedDigest()).toBeNull();
    expect(await list()).toEqual([{ digest: digestOfNames('a', 'b', 'c'), isReady: true }]);
  });

  test('whether a revision is READY follows the role of the dataset, and which files are damaged', async () => {
    const { change, list, put, catalog, key } = await openControl();
    await list();
    await change('a', (group) =>
      group.map((file) => ({ ...file, upload: { ...file.upload, problem: LOST } }) as DatasetFile),
    );
    expect(await list()).toMatchObject([{ isReady: false }]);
    await put('a', 'sound');
    expect(await list()).toMatchObject([{ isReady: true }]);
    await catalog.changeDataset(key, { role: 'training' }, 2);
    expect(await list()).toEqual([{ digest: digestOfNames('a'), isReady: false }]);
  });
});
