import { expect, test } from 'vitest';
import { remove } from '../../../../src/dataset/upload-transitions.js';
import { ITEMS_PER_PIECE } from '../../../../src/pieces.js';
import { NO_LIMITS } from '../../../../src/storage/catalog/accounts/account-usage.js';
import { wrongCountsOf } from '../../../harness/check-counts.js';
import { lockingLate } from '../../../../src/storage/catalog/long-changes/lock-late.js';
import { restoreRevision } from '../../../../src/storage/catalog/long-changes/restore-revision.js';
import type { Database } from '../../../../src/storage/database/database.js';
import { laptop } from '../../../harness/author.js';
import { catalogs } from '../../../harness/backends.js';
import { PairedDatasets } from '../../../harness/paired-datasets.js';

/** So many that the restore pauses when it has read the past files, in its transaction, and after that. */
const NAMES = Array.from({ length: 300 }, (_, i) => `${String(i).padStart(3, '0')}.jpg`);
/** There is one after each piece of the files of the revision, before the transaction. */
const PAUSE_IN_TRANSACTION = NAMES.length / ITEMS_PER_PIECE + 2;

/** Of the state of the new revision. The one before is of the files across links, the last of the transaction. */
const READS_AFTER = 3;

interface Meanwhile {
  readonly atPause?: (pause: number) => Promise<unknown>;
  readonly afterRead?: (read: number) => Promise<unknown>;
}

/** A dataset linked to a control, whose revision 1 has images; all were removed. SQLite, opened twice. */
async function setUp() {
  const opened = await catalogs[0]!.open();
  const { database } = opened;
  const datasets = new PairedDatasets(opened);
  const [id, control, other] = [
    await datasets.create('training'),
    await datasets.create('control'),
    await datasets.create('training'),
  ];
  await datasets.put(control, NAMES);
  await datasets.link(id, { control_1: control });
  await datasets.put(id, NAMES);
  const removal = { datasetId: id, filenames: NAMES, now: 60, isActivity: true, author: laptop };
  await opened.catalog.change(removal, (group, stem) => remove(group, `${stem}.jpg`));
  const { catalog: beside } = await opened.openAnother();

  /** Restores revision 1, and runs work at each pause and after each read. @returns the changed dataset, and the pauses */
  const restore = async ({ atPause = async () => {}, afterRead = async () => {} }: Meanwhile = {}) => {
    const counts = { pauses: 0, reads: 0 };
    const observed: Database = {
      ...database,
      read: async (statements, pieces) => {
        const rows = await database.read(statements, pieces);
        await afterRead(++counts.reads);
        return rows;
      },
    };
    const pieces = { begin: async () => {}, pause: async () => void (await atPause(++counts.pauses)) };
    const options = { blobGrace: 1000, limits: NO_LIMITS, notification: () => [], pieces };
    const revision = { datasetId: id, number: 1, author: { ...laptop, how: 'restore' as const }, now: 100 };
    return { changed: await restoreRevision(lockingLate(observed, id), revision, options), ...counts };
  };
  const filenames = async () => (await opened.catalog.files(id)).map(({ filename }) => filename).sort();
  const miscounted = () => wrongCountsOf(database, id);
  return { ...opened, datasets, beside, id, control, other, restore, filenames, miscounted };
}

const alone = async () => (await setUp()).restore();

test('while a restore reads and computes, others write', async () => {
  const { datasets, beside, other, restore, filenames, miscounted } = await setUp();
  const { changed, pauses } = await restore({
    atPause: (pause) => datasets.put(other, [`${pause}.jpg`], { catalog: beside }),
  });
  expect(changed).toMatchObject({ counts: { images: NAMES.length, unpaired: 0 } });
  // The change ran once, since the other writes were to another dataset.
  expect(pauses).toBe((await alone()).pauses);
  expect(await filenames()).toEqual(NAMES);
  expect(await miscounted()).toEqual([]);
});

test('a file that is added while a restore computes is removed by it, and stays in the history', async () => {
  const { datasets, beside, id, restore, filenames, miscounted, database } = await setUp();
  const { changed, pauses } = await restore({
    atPause: async (pause) => {
      if (pause === PAUSE_IN_TRANSACTION) await datasets.put(id, ['added.jpg'], { catalog: beside });
    },
  });
  expect(changed).toMatchObject({ counts: { images: NAMES.length, unpaired: 0 } });
  expect(pauses).toBeGreaterThan((await alone()).pauses);
  expect(await filenames()).toEqual(NAMES);
  const past = database.query.selectFrom('past_file').select('filename').where('dataset_id', '=', id);
  expect(await past.where('filename', '=', 'added.jpg').execute()).toHaveLength(1);
  expect(await miscounted()).toEqual([]);
});

test('a dataset that changes whenever a restore has read it is restored all the same', async () => {
  const { datasets, beside, id, restore, miscounted } = await setUp();
  const { changed } = await restore({
    afterRead: (read) => datasets.put(id, [`added-${read}.jpg`], { catalog: beside }),
  });
  expect(changed).toMatchObject({ counts: { images: NAMES.length, unpaired: 0 } });
  expect(await miscounted()).toEqual([]);
});

test('a file of a linked dataset that is removed while a restore computes is an error of its pair', async () => {
  const { datasets, beside, control, restore, miscounted } = await setUp();
  const last = (await alone()).reads - READS_AFTER;
  const { changed } = await restore({
    afterRead: async (read) => {
      if (read === last) await datasets.remove(control, NAMES[7]!, beside);
    },
  });
  expect(changed).toMatchObject({ counts: { images: NAMES.length, unpaired: 1 } });
  expect(await miscounted()).toEqual([]);
});

test('a revision that is deleted while its restore computes is not restored', async () => {
  const { restore, filenames, miscounted, endHistory } = await setUp();
  const { changed } = await restore({
    atPause: async (pause) => {
      if (pause === PAUSE_IN_TRANSACTION) await endHistory(1e9);
    },
  });
  expect(changed).toBeUndefined();
  expect(await filenames()).toEqual([]);
  expect(await miscounted()).toEqual([]);
});
