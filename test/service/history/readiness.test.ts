import { expect, test } from 'vitest';
import type { DatasetFile, StoredFile } from '../../../src/dataset/dataset.js';
import { store } from '../../../src/dataset/upload-transitions.js';
import { RevisionManifests } from '../../../src/service/history/revision-manifests.js';
import { Catalog } from '../../../src/storage/catalog/catalog.js';
import type { Database } from '../../../src/storage/database/database.js';
import { laptop } from '../../harness/author.js';
import { catalogs, onEach } from '../../harness/backends.js';
import { pausedBeforeCommit, untilLockWait } from '../../harness/paused-database.js';

/* Whether a revision is READY is computed from its files and the role of the dataset, which may change meanwhile. */

const DAMAGED = { code: 'IMAGE_CORRUPT', filename: 'a.jpg', severity: 'error', message: '' } as const;

function imageOf(id: string): StoredFile {
  const facts = { kind: 'image', format: 'jpeg', width: 10, height: 20 } as const;
  const bytes = { sizeBytes: 1, sha256: 'ab'.repeat(32), contentType: 'image/jpeg', facts, warnings: [] };
  const upload = { state: 'stored', ...bytes, blobVersion: null, finalizedAt: 1 } as const;
  return { id, datasetId: 'd', filename: 'a.jpg', kind: 'image', createdAt: 1, upload };
}

onEach(catalogs, (open) => {
  /** A control with an image without a caption: READY, which a training dataset would not be. */
  const openControl = async () => {
    const opened = await open();
    const { accountId, catalog } = opened;
    await catalog.createDataset({ id: 'd', accountId, name: 'd', role: 'control', createdAt: 1 });
    const change = { datasetId: 'd', filenames: ['a.jpg'], now: 1, isActivity: true, author: laptop };
    await catalog.change(change, (group) => store(group, imageOf('f'), undefined));
    const find = async () => (await catalog.dataset({ accountId, id: 'd' }))!;
    const known = async () => (await catalog.revisions.find('d', 1))!.isReady;
    const makeTraining = () => catalog.changeDataset({ accountId, id: 'd' }, { role: 'training' }, 2);
    const damage = async () => {
      const damaged = (file: DatasetFile) => ({ ...file, upload: { ...file.upload, problem: DAMAGED } }) as DatasetFile;
      await catalog.change({ ...change, now: 2 }, (group) => group.map(damaged));
    };
    let meanwhile = async () => {};
    const { database } = opened;
    const transact: Database['transact'] = async (options, work) => {
      await meanwhile();
      return database.transact(options, work);
    };
    const manifests = new RevisionManifests(new Catalog({ ...database, transact }, { blobGrace: 0 }));
    /** The state of the revision; `work` runs once it is computed, before it is stored. */
    const list = async (dataset = find(), work = async () => {}) => {
      meanwhile = work;
      const views = await manifests.viewsOf(await dataset, await catalog.revisions.page('d', { limit: 1 }));
      return views.map(({ isReady }) => isReady);
    };
    return { ...opened, find, known, makeTraining, damage, list };
  };

  test.each(['makeTraining', 'damage'] as const)(
    'is computed again after a change before it was stored: %s',
    async (name) => {
      const opened = await openControl();
      const { list, known } = opened;
      await list(undefined, async () => {
        await opened[name]();
      });
      expect(await known()).toBe(null);
      expect(await list()).toEqual([false]);
      expect(await known()).toBe(false);
    },
  );

  test('is computed again if the role was read before it changed', async () => {
    const { find, known, list, makeTraining } = await openControl();
    const dataset = find();
    await dataset;
    await makeTraining();
    await list(dataset);
    expect(await known()).toBe(null);
    expect(await list()).toEqual([false]);
    expect(await known()).toBe(false);
  });

  test('is computed again when a damaged file is replaced by the same bytes', async () => {
    const { catalog, damage, list, known } = await openControl();
    await damage();
    expect(await list()).toEqual([false]);
    const change = { datasetId: 'd', filenames: ['a.jpg'], now: 3, isActivity: true, author: laptop };
    await catalog.change(change, (group) => store(group, imageOf('sound'), undefined));
    expect(await known()).toBe(null);
    expect(await list()).toEqual([true]);
  });

  test('is stored though other files change', async () => {
    const { catalog, known, list } = await openControl();
    await list(undefined, async () => {
      const other = { ...imageOf('g'), filename: 'b.jpg' };
      const author = { ...laptop, changeId: 'other' };
      const change = { datasetId: 'd', filenames: ['b.jpg'], now: 2, isActivity: true, author };
      await catalog.change(change, (group) => store(group, other, undefined));
    });
    expect(await known()).toBe(true);
  });

  if (open !== catalogs[1]?.open) return;

  test('is not stored while another instance changes the role', async () => {
    const { accountId, database, known, list, openAnother } = await openControl();
    const other = pausedBeforeCommit((await openAnother()).database, /update "dataset"/);
    const changing = new Catalog(other.database, { blobGrace: 0 });
    const changed = changing.changeDataset({ accountId, id: 'd' }, { role: 'training' }, 2);
    await other.reached;
    const listed = list();
    await untilLockWait(database, listed);
    other.resume();
    await Promise.all([changed, listed]);
    expect(await known()).toBe(null);
    expect(await list()).toEqual([false]);
  });
});
