import { expect, test } from 'vitest';
import type { Author, DatasetFile } from '../../../src/dataset/dataset.js';
import { digestOf } from '../../../src/dataset/digest.js';
import { store } from '../../../src/dataset/upload-transitions.js';
import type { ServiceDependencies } from '../../../src/service/dependencies.js';
import { HistoryService, revisionViews } from '../../../src/service/history.js';
import { Catalog } from '../../../src/storage/catalog/catalog.js';
import type { Database } from '../../../src/storage/database/database.js';
import { laptop } from '../../harness/author.js';
import { onCatalogs } from '../../harness/backends.js';
import { imageNamed, LOST } from '../../harness/stored-image.js';

const by = (how: 'restore' | 'undo'): { author: Author } => ({ author: { ...laptop, how } });

const digestOfNames = (...names: string[]) => digestOf(names.map(imageNamed));

onCatalogs((open) => {
  /** A control dataset with one image without a caption: READY, which a training dataset would not be. */
  const openControl = async () => {
    const opened = await open();
    const { accountId, catalog, database } = opened;
    const key = { accountId, id: 'd' };
    await catalog.createDataset({ ...key, name: 'd', role: 'control', createdAt: 1 });
    const change = (
      name: string,
      transition: (group: readonly DatasetFile[]) => DatasetFile[],
      changeId: string | null = null,
    ) => {
      const author = { ...laptop, changeId };
      return catalog.change(
        { datasetId: 'd', filenames: [`${name}.jpg`], now: 1, isActivity: true, author },
        transition,
      );
    };
    const put = (name: string, { id = name, changeId = null as string | null } = {}) =>
      change(name, (group) => [...store(group, { ...imageNamed(name), id }, undefined)], changeId);
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
    const services = { catalog: new Catalog(database, { blobGrace: 0 }), now: () => 1_000_000 } as ServiceDependencies;
    const history = new HistoryService(services);
    return { ...opened, key, change, put, list, storedDigest, history };
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
    await put('a', { id: 'sound' });
    expect(await list()).toMatchObject([{ isReady: true }]);
    await catalog.changeDataset(key, { role: 'training' }, 2);
    expect(await list()).toEqual([{ digest: digestOfNames('a'), isReady: false }]);
  });

  test('a change to files that the dataset has already is answered with the latest revision', async () => {
    const { key, put, history } = await openControl();
    await put('b', { changeId: 'second' });
    expect(await history.restore(key, 2, by('restore'))).toMatchObject({ isRestored: false, revision: { number: 2 } });
    expect(await history.undo(key, 1, by('undo'))).toMatchObject({ undone: ['a.jpg'], revision: { number: 3 } });
    expect(await history.undo(key, 1, by('undo'))).toMatchObject({ undone: ['a.jpg'], revision: undefined });
  });
});
