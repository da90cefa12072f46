import { expect, test } from 'vitest';
import { Catalog } from '../../../src/storage/catalog/catalog.js';
import type { Database } from '../../../src/storage/database/database.js';
import { catalogs, onEach } from '../../harness/backends.js';
import { wrongCountsOf } from '../../harness/check-counts.js';
import { PairedDatasets } from '../../harness/paired-datasets.js';
import { plansOfReads } from '../../harness/query-plans.js';

onEach(
  catalogs,
  (open) => {
    const openPairs = async () => {
      const opened = await open();
      const subject = new PairedDatasets(opened);
      const datasetOf = async (id: string) => (await opened.catalog.dataset({ accountId: opened.accountId, id }))!;
      const unpaired = async (id: string) => (await datasetOf(id)).counts.unpaired;
      /** What the row of a dataset has wrong. */
      const wrong = (id: string) => wrongCountsOf(opened.database, id);
      return { ...opened, subject, datasetOf, unpaired, wrong };
    };

    test('a list reads files only of datasets with links that have changed, and links only if a dataset has some', async () => {
      const { database, accountId, subject } = await openPairs();
      const [target, alone] = [await subject.create('training'), await subject.create('training')];
      const control = await subject.create('control');
      await subject.put(target, ['a.jpg', 'b.jpg']);
      await subject.link(target, { control_1: control });
      let reads = 0;
      const read: Database['read'] = (statements) => {
        reads++;
        return database.read(statements);
      };
      const catalog = new Catalog({ ...database, read }, { blobGrace: 0 });
      const list = async () => {
        const before = reads;
        const datasets = await catalog.datasets({ accountId });
        return [datasets.find(({ id }) => id === target)?.counts.unpaired, reads - before];
      };
      expect([await list(), await list()]).toEqual([
        [2, 1],
        [2, 0],
      ]);
      await subject.put(control, ['a.png']);
      expect([await list(), await list()]).toEqual([
        [1, 1],
        [1, 0],
      ]);
      await subject.put(target, ['c.jpg']);
      await subject.put(alone, ['c.jpg']);
      expect([await list(), await list()]).toEqual([
        [2, 1],
        [2, 0],
      ]);
      const ofLinks = (ids: readonly string[]) =>
        plansOfReads(database, 'link', (watched) =>
          new Catalog(watched, { blobGrace: 0 }).datasets({ accountId, ids }),
        );
      expect([(await ofLinks([alone, control])).length, (await ofLinks([target])).length]).toEqual([0, 3]);
    });
  },
  { othersAreLong: true },
);
