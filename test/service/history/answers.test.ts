import { expect, test } from 'vitest';
import type { Author } from '../../../src/dataset/dataset.js';
import { ServiceError } from '../../../src/dataset/errors.js';
import { store } from '../../../src/dataset/upload-transitions.js';
import { DatasetService } from '../../../src/service/datasets.js';
import type { ServiceDependencies } from '../../../src/service/dependencies.js';
import { HistoryService } from '../../../src/service/history/history-service.js';
import { Catalog } from '../../../src/storage/catalog/catalog.js';
import type { Database } from '../../../src/storage/database/database.js';
import { laptop } from '../../harness/author.js';
import { catalogs, onEach } from '../../harness/backends.js';
import { imageNamed } from '../../harness/stored-image.js';

/* A committed restore or undo does not throw, also if a read after its commit fails. */

const by = (how: 'restore' | 'undo'): { author: Author } => ({ author: { ...laptop, how } });

onEach(catalogs, (open) => {
  /** A dataset of which revision 1 has `a.jpg`, and revision 2 `b.jpg` besides. */
  const openTwo = async () => {
    const opened = await open();
    const { accountId, catalog } = opened;
    const key = { accountId, id: 'd' };
    await catalog.createDataset({ ...key, name: 'd', createdAt: 1 });
    const upload = async (name: string, now: number) => {
      const author = { ...laptop, changeId: name };
      const change = { datasetId: 'd', filenames: [`${name}.jpg`], now, isActivity: true, author };
      await catalog.change(change, (group) => store(group, imageNamed(name), undefined));
    };
    await upload('a', 1);
    await upload('b', 2);
    const historyOver = (database: Database) => {
      const dependencies = { catalog: new Catalog(database, { blobGrace: 0 }), now: () => 5 };
      const services = dependencies as ServiceDependencies;
      return { history: new HistoryService(services, new DatasetService(services)), ...dependencies };
    };
    return { ...opened, key, upload, historyOver };
  };

  test.each(['restore', 'undo'] as const)('and announced, though nothing more can be written: %s', async (how) => {
    const { database, key, historyOver } = await openTwo();
    let changes = 0;
    const full: Database = {
      ...database,
      transact: async (...args) => {
        if (changes++ > 0) throw new ServiceError('no_space', 'The disk is full.');
        return database.transact(...args);
      },
    };
    const { history, catalog } = historyOver(full);
    const announced: string[] = [];
    const stop = catalog.changes.onAnyChange((datasetId) => announced.push(datasetId));
    const { revision } =
      how === 'restore' ? await history.restore(key, 1, by(how)) : await history.undo(key, 2, by(how));
    stop();
    expect(revision).toMatchObject({ number: 3, files: 1, how });
    expect(announced).toEqual(['d']);
  });

  test('the latest revision, if the dataset has these files already', async () => {
    const { database, key, historyOver } = await openTwo();
    const { history } = historyOver(database);
    expect(await history.restore(key, 2, by('restore'))).toMatchObject({ isRestored: false, revision: { number: 2 } });
    expect(await history.undo(key, 1, by('undo'))).toMatchObject({ undone: ['a.jpg'], revision: { number: 3 } });
    expect(await history.undo(key, 1, by('undo'))).toMatchObject({ undone: ['a.jpg'], revision: undefined });
  });
});
