import { expect, test } from 'vitest';
import type { DatasetFile } from '../../../src/dataset/dataset.js';
import { digestOf } from '../../../src/dataset/digest.js';
import { store } from '../../../src/dataset/upload-transitions.js';
import { RevisionManifests } from '../../../src/service/history/revision-manifests.js';
import { Catalog } from '../../../src/storage/catalog/catalog.js';
import type { Database } from '../../../src/storage/database/database.js';
import { laptop } from '../../harness/author.js';
import { catalogs, onEach } from '../../harness/backends.js';
import { imageNamed, LOST } from '../../harness/stored-image.js';

/* The digest of a revision is computed once; whether it is READY also depends on the role and on damaged files. */

onEach(catalogs, (open) => {
  /** A control with an image without a caption: READY, which a training dataset would not be. */
  const openControl = async () => {
    const opened = await open();
    const { accountId, catalog, database } = opened;
    await catalog.createDataset({ id: 'd', accountId, name: 'd', role: 'control', createdAt: 1 });
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
    const manifests = new RevisionManifests(new Catalog({ ...database, read }, { blobGrace: 0 }));
    /** The states of the revisions; `work` runs when the files of one were read, before its digest is stored. */
    const list = async (work?: () => Promise<unknown>) => {
      meanwhile = work;
      const dataset = (await catalog.dataset({ accountId, id: 'd' }))!;
      const views = await manifests.viewsOf(dataset, await catalog.revisions.page('d'));
      return views.map(({ digest, isReady }) => ({ digest, isReady }));
    };
    const stored = async () => (await catalog.revisions.find('d', 1))!.digest;
    const makeTraining = () => catalog.changeDataset({ accountId, id: 'd' }, { role: 'training' }, 2);
    return { ...opened, change, put, list, stored, makeTraining };
  };
  const digestOfNames = (...names: string[]) => digestOf(names.map(imageNamed));

  test('is of the files, and stored', async () => {
    const { list, stored } = await openControl();
    expect(await stored()).toBeNull();
    expect(await list()).toEqual([{ digest: digestOfNames('a'), isReady: true }]);
    expect(await stored()).toBe(digestOfNames('a'));
  });

  test('is computed again after a change joined the revision, also at the same time', async () => {
    const { list, put, stored } = await openControl();
    await list(() => put('b'));
    expect(await stored()).toBeNull();
    expect(await list()).toEqual([{ digest: digestOfNames('a', 'b'), isReady: true }]);
  });

  test('follows the role of the dataset', async () => {
    const { list, makeTraining } = await openControl();
    await list();
    await makeTraining();
    expect(await list()).toEqual([{ digest: digestOfNames('a'), isReady: false }]);
  });

  test('follows which files are damaged', async () => {
    const { change, list, put } = await openControl();
    await list();
    await change('a', (group) =>
      group.map((file) => ({ ...file, upload: { ...file.upload, problem: LOST } }) as DatasetFile),
    );
    expect(await list()).toMatchObject([{ isReady: false }]);
    await put('a', 'sound');
    expect(await list()).toMatchObject([{ isReady: true }]);
  });
});
