import { expect, test } from 'vitest';
import { recordRecheck, store } from '../../../../src/dataset/upload-transitions.js';
import type { Inspection } from '../../../../src/dataset/inspect/inspection.js';
import { revisionViews } from '../../../../src/service/history.js';
import { fileWithBlob } from '../../../../src/storage/catalog/verification.js';
import { laptop } from '../../../harness/author.js';
import { onCatalogs } from '../../../harness/backends.js';
import { imageNamed, LOST } from '../../../harness/stored-image.js';

/* The copies of a file in the history have the blob of the file: what is known of its bytes holds for all of them. */

const SOUND: Inspection = {
  ok: true,
  contentType: 'image/jpeg',
  facts: { kind: 'image', format: 'jpeg', width: 10, height: 20 },
  warnings: [],
};

onCatalogs((open) => {
  /** A control, READY without captions: revision 1 has `a.jpg`, 2 has `b.jpg` besides, 3 not `a.jpg`, and 4 both again. */
  const openRestored = async () => {
    const opened = await open();
    const { accountId, catalog } = opened;
    const key = { accountId, id: 'd' };
    await catalog.createDataset({ ...key, name: 'd', role: 'control', createdAt: 1 });
    let now = 1;
    const changeOf = (filename: string) => ({ datasetId: 'd', filenames: [filename], now: ++now, isActivity: true });
    const author = () => ({ ...laptop, changeId: String(++now) });
    for (const name of ['a', 'b']) {
      const change = { ...changeOf(`${name}.jpg`), author: author() };
      await catalog.change(change, (group) => store(group, imageNamed(name), undefined));
    }
    await catalog.change({ ...changeOf('a.jpg'), author: author() }, () => []);
    const restore = (number: number) =>
      catalog.restore({ datasetId: 'd', number, author: { ...laptop, how: 'restore' }, now: ++now });
    await restore(2);
    const recheck = (found: Inspection) =>
      catalog.change({ ...changeOf('a.jpg'), isActivity: false }, (group) => recordRecheck(group, 'a', found));
    /** Whether the revisions are READY, as the list of revisions says, oldest first. */
    const listed = async () => {
      const dataset = (await catalog.dataset(key))!;
      const views = await revisionViews(catalog, dataset, await catalog.revisions.page('d', { limit: 10 }));
      return views.map(({ isReady }) => isReady).reverse();
    };
    const rejected = async () => (await catalog.dataset(key))!.counts.rejected;
    return { ...opened, restore, recheck, listed, rejected };
  };

  test('a recheck finds a file damaged, and sound again, in all revisions that have it', async () => {
    const { recheck, listed } = await openRestored();
    expect(await listed()).toEqual([true, true, true, true]);
    await recheck({ ok: false, problem: LOST });
    expect(await listed()).toEqual([false, false, true, false]);
    await recheck(SOUND);
    expect(await listed()).toEqual([true, true, true, true]);
  });

  test('a file whose bytes are known to be lost is damaged also when it is restored', async () => {
    const { recheck, restore, rejected } = await openRestored();
    await recheck({ ok: false, problem: LOST });
    await restore(3);
    expect(await rejected()).toBe(0);
    await restore(2);
    expect(await rejected()).toBe(1);
  });

  test('a past file whose bytes are lost makes its revisions FAILED in their list too', async () => {
    const { restore, catalog, database, listed } = await openRestored();
    await restore(3);
    expect(await listed()).toEqual([true, true, true, true, true]);
    const file = (await fileWithBlob(database, 'a'))!;
    await catalog.recordBytes(file, LOST, 100);
    expect(await listed()).toEqual([false, false, true, false, true]);
    await catalog.recordBytes(file, undefined, 101);
    expect(await listed()).toEqual([true, true, true, true, true]);
  });
});
