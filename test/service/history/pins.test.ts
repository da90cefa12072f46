import { expect, test } from 'vitest';
import type { StoredFile } from '../../../src/dataset/dataset.js';
import { store } from '../../../src/dataset/upload-transitions.js';
import { DatasetService } from '../../../src/service/datasets.js';
import type { ServiceDependencies } from '../../../src/service/dependencies.js';
import { HistoryService } from '../../../src/service/history/history-service.js';
import { Catalog } from '../../../src/storage/catalog/catalog.js';
import type { Database } from '../../../src/storage/database/database.js';
import { laptop } from '../../harness/author.js';
import { catalogs, onEach } from '../../harness/backends.js';

const NOW = 1_000_000;

function captionOf(id: string): StoredFile {
  const facts = { kind: 'caption', characters: 1 } as const;
  const bytes = { sizeBytes: 1, sha256: id.padStart(64, '0'), contentType: 'text/plain', facts, warnings: [] };
  const upload = { state: 'stored', ...bytes, blobVersion: null, finalizedAt: 1 } as const;
  return { id, datasetId: 'd', filename: 'a.txt', kind: 'caption', createdAt: 1, upload };
}

onEach(catalogs, (open) => {
  test('the end of a pin is answered, though the revision is deleted at once', async () => {
    const { accountId, catalog, database, endHistory } = await open();
    const key = { accountId, id: 'd' };
    await catalog.createDataset({ ...key, name: 'd', createdAt: 1 });
    for (const id of ['1', '2']) {
      const author = { ...laptop, changeId: id };
      const change = { datasetId: 'd', filenames: ['a.txt'], now: Number(id), isActivity: true, author };
      await catalog.change(change, (group) => store(group, captionOf(id), undefined));
      if (id === '1') await catalog.revisions.setPin('d', 1, { at: 1, by: 'laptop', note: null });
    }
    const endingHistory: Database = {
      ...database,
      transact: async (...args) => {
        const result = await database.transact(...args);
        await endHistory(NOW);
        return result;
      },
    };
    const dependencies = { catalog: new Catalog(endingHistory, { blobGrace: 0 }), now: () => NOW };
    const services = dependencies as ServiceDependencies;
    const history = new HistoryService(services, new DatasetService(services));
    expect(await history.setPin(key, 1, null)).toMatchObject({ number: 1, pin: null });
    expect(await catalog.revisions.page('d')).toMatchObject([{ number: 2 }]);
  });
});
