import { expect, test } from 'vitest';
import { digestOf, digestWithLinks } from '../../../src/dataset/digest.js';
import { RevisionManifests } from '../../../src/service/history/revision-manifests.js';
import { catalogs, onEach } from '../../harness/backends.js';
import { PairedDatasets } from '../../harness/paired-datasets.js';

/* Which states of a dataset and its links were there at one moment is searched among all their revisions. */

const REVISIONS = 500;

onEach(catalogs, (open) => {
  /** A dataset and its control, with as many revisions in turn, all known and alike but for their digests. */
  const openMany = async () => {
    const { catalog, accountId, database } = await open();
    const { query } = database;
    const subject = new PairedDatasets({ catalog, accountId });
    const target = await subject.create('training');
    const control = await subject.create('control');
    await subject.put(target, ['a.jpg', 'a.txt'], { changeId: '1' });
    await subject.put(control, ['a.png'], { changeId: '1' });
    await subject.link(target, { control_1: control });
    const manifests = new RevisionManifests(catalog);
    const datasetOf = async (id: string) => (await catalog.dataset({ accountId, id }))!;
    for (const [i, id] of [target, control].entries()) {
      await manifests.viewsOf(await datasetOf(id), await catalog.revisions.page(id, { limit: 1 }));
      const [first] = await query.selectFrom('revision').selectAll().where('dataset_id', '=', id).execute();
      const rows = Array.from({ length: REVISIONS - 1 }, (_, n) => {
        const at = 1000 * (n + 1) + 500 * i;
        return { ...first!, number: n + 2, started_at: at, changed_at: at, digest: `${i}${n + 2}`.padStart(64, '0') };
      });
      for (let from = 0; from < rows.length; from += 100) {
        await query
          .insertInto('revision')
          .values(rows.slice(from, from + 100))
          .execute();
      }
    }
    const firstDigest = async (id: string) => {
      const files = await catalog.files(id);
      return digestOf(files.map(({ filename, upload }) => ({ filename, upload: upload as { sha256: string } })));
    };
    const filesDigest = await firstDigest(target);
    const digest = digestWithLinks(filesDigest, [{ slot: 'control_1', digest: await firstDigest(control) }]);
    return { manifests, dataset: await datasetOf(target), digest };
  };
  const { signal } = new AbortController();

  test.each(['revision', 'digest'])('the moment of a %s is found', async (by) => {
    const { manifests, dataset, digest } = await openMany();
    const found = await (by === 'revision'
      ? manifests.manifest(dataset, 1, signal)
      : manifests.withDigest(dataset, digest, signal));
    expect(found).toMatchObject({ revision: 1, digest, links: [{ slot: 'control_1', revision: 1 }] });
  });

  test('a search ends with its request', async () => {
    const { manifests, dataset } = await openMany();
    const controller = new AbortController();
    const found = manifests.withDigest(dataset, 'f'.repeat(64), controller.signal);
    controller.abort(new Error('gone'));
    await expect(found).rejects.toThrow('gone');
  });
});
