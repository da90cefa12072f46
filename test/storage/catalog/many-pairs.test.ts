import { expect, test } from 'vitest';
import type { Pieces } from '../../../src/pieces.js';
import { wrongCountsOf } from '../../harness/check-counts.js';
import { catalogs, onEach } from '../../harness/backends.js';
import { PairedDatasets } from '../../harness/paired-datasets.js';

/* The pairs of many files are proved before the datasets are locked, and the files may change meanwhile. */

const FILES = 1200;
const names = (extension: string) => Array.from({ length: FILES }, (_, i) => `${i}.${extension}`);

onEach(catalogs, (open) => {
  /** Links a dataset to a control, and calls `meanwhile` in the first pause of each count. */
  const linkMany = async (
    meanwhile: (control: string, subject: PairedDatasets, counts: number) => Promise<unknown>,
  ) => {
    const { catalog, accountId, database } = await open();
    const subject = new PairedDatasets({ catalog, accountId });
    const target = await subject.create('training');
    const control = await subject.create('control');
    await subject.put(target, names('jpg'));
    await subject.put(control, names('png').slice(5));
    const work = { counts: 0, pauses: 0 };
    const inPieces = <T>(_accountId: string, task: (pieces: Pieces) => Promise<T>): Promise<T> => {
      let isFirst = true;
      const begin = async () => {
        work.counts++;
      };
      const pause = async () => {
        work.pauses++;
        if (isFirst) await meanwhile(control, subject, work.counts);
        isFirst = false;
      };
      return task({ begin, pause });
    };
    const links = [{ slot: 'control_1', linkedId: control }] as const;
    const key = { accountId, id: target };
    expect(await catalog.links.replace(key, { links, now: 70, inPieces })).toBe(true);
    const dataset = (await catalog.dataset(key))!;
    expect(dataset.counts.unpaired).toBe(await subject.errorsOf(dataset));
    expect(await wrongCountsOf(database, target)).toEqual([]);
    return { ...work, unpaired: dataset.counts.unpaired };
  };

  test('they are proved with pauses, in which others may write', async () => {
    const { counts, pauses, unpaired } = await linkMany((_, subject) => subject.create('training'));
    expect([counts, unpaired]).toEqual([1, 5]);
    expect(pauses).toBeGreaterThanOrEqual(4);
  });

  test('they are proved again after a change of the files', async () => {
    const { counts, unpaired } = await linkMany(async (control, subject, count) => {
      if (count === 1) await subject.put(control, ['0.png', '1.png']);
    });
    expect([counts, unpaired]).toEqual([2, 3]);
  });

  test('they are proved with the datasets locked if the files change each time', async () => {
    const { counts, unpaired } = await linkMany((control, subject, count) =>
      subject.put(control, [`${count - 1}.png`]),
    );
    expect([counts, unpaired]).toEqual([3, 2]);
  });
});
