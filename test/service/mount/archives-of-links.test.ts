import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { remove } from '../../../src/dataset/upload-transitions.js';
import { DatasetService } from '../../../src/service/datasets.js';
import type { ServiceDependencies } from '../../../src/service/dependencies.js';
import type { Downloads } from '../../../src/service/download/downloads.js';
import { HistoryService } from '../../../src/service/history/history-service.js';
import { LargeWork } from '../../../src/service/limits/large-work.js';
import { MountArchives } from '../../../src/service/mount/mount-archive.js';
import { Catalog } from '../../../src/storage/catalog/catalog.js';
import type { Database } from '../../../src/storage/database/database.js';
import { laptop } from '../../harness/author.js';
import { catalogs, onEach } from '../../harness/backends.js';
import { PairedDatasets } from '../../harness/paired-datasets.js';

/* Many requests for the archive of a dataset with links come at once: those that wait for others hold no files. */

const REQUESTS = 12;

onEach(catalogs, (open) => {
  /** The archives of a dataset with a control, and in which order the files of the two are read. */
  const openLinked = async () => {
    const { accountId, database } = await open();
    const reads: ('target' | 'control')[] = [];
    const observed: Database = {
      ...database,
      read: async (statements) => {
        const ids = statements.flatMap((statement) => statement.compile().parameters);
        reads.push(ids.includes(control) ? 'control' : 'target');
        return database.read(statements);
      },
    };
    const catalog = new Catalog(observed, { blobGrace: 0 });
    const subject = new PairedDatasets({ catalog, accountId });
    const target = await subject.create('training');
    const control = await subject.create('control');
    await subject.put(target, ['a.jpg', 'a.txt', 'b.jpg', 'b.txt'], { changeId: '1' });
    await subject.put(control, ['a.png', 'b.png'], { changeId: '1' });
    await subject.link(target, { control_1: control });
    const { run: inPieces } = new LargeWork();
    const rules = { captionGrace: 0 };
    const dependencies = { catalog, now: () => 1_000_000, rules, inPieces, takeTurn: () => turn() };
    const services = dependencies as unknown as ServiceDependencies;
    const datasets = new DatasetService(services);
    const history = new HistoryService(services, datasets);
    const archives = new MountArchives({ datasets, history, downloads: {} as Downloads });
    const key = { accountId, id: target };
    const { digest } = await datasets.view(key);
    const { signal } = new AbortController();
    const namesOf = (wanted: object) =>
      archives.find(key, wanted, signal, async ({ folders }) => {
        await turn();
        return folders.map(({ files }) => files.map(({ filename }) => filename));
      });
    const changeTarget = () => {
      const change = { datasetId: target, filenames: ['b.jpg'], now: 90, isActivity: true };
      return catalog.change({ ...change, author: { ...laptop, changeId: '2' } }, (group) => remove(group, 'b.jpg'));
    };
    return { changeTarget, namesOf, digest: digest!, reads };
  };

  test.each(['as it is now', 'of a revision', 'of the digest that it has', 'of an earlier digest'])(
    'the archive of a dataset %s',
    async (which) => {
      const { changeTarget, namesOf, digest, reads } = await openLinked();
      if (which === 'of an earlier digest') await changeTarget();
      const wanted = which === 'as it is now' ? {} : which === 'of a revision' ? { revision: 1 } : { digest };
      // Now the digests of the revisions are known, and what was found of the pairs is remembered.
      await namesOf(wanted);
      reads.length = 0;
      const found = await Promise.all(Array.from({ length: REQUESTS }, () => namesOf(wanted)));
      const names = [
        ['a.png', 'b.png'],
        ['a.jpg', 'a.txt', 'b.jpg', 'b.txt'],
      ];
      expect(found).toEqual(Array.from({ length: REQUESTS }, () => names));
      // No other request has read files between the two folders of one.
      const before = reads.flatMap((each, i) => (each === 'control' ? [reads[i - 1]] : []));
      expect(before).toEqual(Array.from({ length: REQUESTS }, () => 'target'));
    },
  );
});
