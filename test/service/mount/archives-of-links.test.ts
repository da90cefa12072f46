import { expect, test } from 'vitest';
import { remove } from '../../../src/dataset/upload-transitions.js';
import { DatasetService } from '../../../src/service/datasets.js';
import type { ServiceDependencies } from '../../../src/service/dependencies.js';
import type { Downloads } from '../../../src/service/download/downloads.js';
import { MountArchives } from '../../../src/service/mount/mount-archive.js';
import type { BlobStore } from '../../../src/storage/blobs/blobs.js';
import { laptop } from '../../harness/author.js';
import { catalogs, onEach } from '../../harness/backends.js';
import { PairedDatasets } from '../../harness/paired-datasets.js';

onEach(catalogs, (open) => {
  /** The archives of a dataset with a control. */
  const openLinked = async () => {
    const { accountId, catalog } = await open();
    const subject = new PairedDatasets({ catalog, accountId });
    const target = await subject.create('training');
    const control = await subject.create('control');
    await subject.put(target, ['a.jpg', 'a.txt', 'b.jpg', 'b.txt'], { changeId: '1' });
    await subject.put(control, ['a.png', 'b.png'], { changeId: '1' });
    await subject.link(target, { control_1: control });
    const rules = { captionGrace: 0 };
    const dependencies = { catalog, now: () => 1_000_000, rules };
    const services = dependencies as unknown as ServiceDependencies;
    const datasets = new DatasetService(services);
    const archives = new MountArchives({ ...services, blobs: {} as BlobStore }, {} as Downloads);
    const key = { accountId, id: target };
    const { digest } = await datasets.view(key);
    const { signal } = new AbortController();
    const namesOf = async (wanted: object) => {
      const { folders } = await archives.find(key, wanted, signal);
      return folders.map(({ files }) => files.map(({ filename }) => filename));
    };
    const changeTarget = () => {
      const change = { datasetId: target, filenames: ['b.jpg'], now: 90, isActivity: true };
      return catalog.change({ ...change, author: { ...laptop, changeId: '2' } }, (group) => remove(group, 'b.jpg'));
    };
    return { changeTarget, namesOf, digest: digest! };
  };

  test.each(['as it is now', 'of a revision', 'of the digest that it has', 'of an earlier digest'])(
    'the archive of a dataset %s',
    async (which) => {
      const { changeTarget, namesOf, digest } = await openLinked();
      if (which === 'of an earlier digest') await changeTarget();
      const wanted = which === 'as it is now' ? {} : which === 'of a revision' ? { revision: 1 } : { digest };
      expect(await namesOf(wanted)).toEqual([
        ['a.png', 'b.png'],
        ['a.jpg', 'a.txt', 'b.jpg', 'b.txt'],
      ]);
    },
  );
});
