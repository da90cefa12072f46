import { expect, test } from 'vitest';
import { catalogs, onEach } from '../../harness/backends.js';
import { wrongCountsOf } from '../../harness/check-counts.js';
import { PairedDatasets } from '../../harness/paired-datasets.js';

onEach(catalogs, (open) => {
  const openPairs = async () => {
    const opened = await open();
    const subject = new PairedDatasets(opened);
    const datasetOf = async (id: string) => (await opened.catalog.dataset({ accountId: opened.accountId, id }))!;
    const unpaired = async (id: string) => (await datasetOf(id)).counts.unpaired;
    /** What the row of a dataset has wrong. */
    const wrong = (id: string) => wrongCountsOf(opened.database, id);
    return { ...opened, subject, datasetOf, unpaired, wrong };
  };

  test('a change of the target and of a control shows in the count of unpaired stems', async () => {
    const { subject, unpaired, wrong } = await openPairs();
    const target = await subject.create('training');
    const [depth, mask] = [await subject.create('control'), await subject.create('mask')];
    await subject.put(target, ['a.jpg', 'a.txt', 'b.jpg', 'b.txt']);
    await subject.link(target, { control_1: depth, mask });
    expect(await unpaired(target)).toBe(4);
    await subject.put(depth, ['a.png', 'c.png', 'b.txt']);
    expect(await unpaired(target)).toBe(3);
    await subject.put(mask, ['a.png', 'b.png']);
    expect(await unpaired(target)).toBe(1);
    await subject.put(target, ['c.jpg', 'd.mp4']);
    expect(await unpaired(target)).toBe(4);
    await subject.put(depth, ['a.webp']);
    expect(await unpaired(target), 'two controls of one stem').toBe(5);
    await subject.remove(depth, 'a.png');
    await subject.remove(target, 'd.mp4');
    expect(await unpaired(target)).toBe(2);
    await subject.put(mask, ['a.png'], { size: [768, 1024] });
    expect(await unpaired(target), 'a mask of another orientation').toBe(3);
    await subject.damage(mask);
    expect(await unpaired(target), 'a damaged mask is a missing one').toBe(3);
    await subject.damage(depth);
    expect(await unpaired(target)).toBe(4);
    expect(await wrong(target)).toEqual([]);
    await subject.link(target, {});
    expect(await unpaired(target)).toBe(0);
    await subject.put(depth, ['b.png']);
    expect(await unpaired(target)).toBe(0);
  });

  test('concurrent changes of targets and controls through two connections leave the right counts, without a deadlock', async () => {
    const { subject, catalog, openAnother, datasetOf, unpaired, wrong } = await openPairs();
    const inUse = [catalog, (await openAnother()).catalog];
    const targets = [await subject.create('training'), await subject.create('training')];
    const controls = [await subject.create('control'), await subject.create('control')];
    // Each target has the same controls, in the other order.
    await subject.link(targets[0]!, { control_1: controls[0]!, control_2: controls[1]! });
    await subject.link(targets[1]!, { control_1: controls[1]!, control_2: controls[0]! });
    for (let round = 0; round < 10; round++) {
      const changes = [...targets, ...controls].flatMap((datasetId, i) =>
        ['a', 'b', 'c'].map((stem, j) => {
          const other = inUse[(i + j) % 2]!;
          return (round + i + j) % 3 === 0
            ? subject.remove(datasetId, `${stem}.jpg`, other)
            : subject.put(datasetId, [`${stem}.jpg`, `${stem}.txt`], { catalog: other });
        }),
      );
      await Promise.all(changes);
    }
    for (const target of targets) {
      expect(await wrong(target)).toEqual([]);
      expect(await unpaired(target)).toBe(await subject.errorsOf(await datasetOf(target)));
    }
    // After a deadlock, the database aborts a transaction, and it runs again.
    expect(subject.transitions.runs).toBe(subject.transitions.stems);
  });

  test('links that are replaced while files change leave the right counts', async () => {
    const { subject, openAnother, datasetOf, unpaired, wrong } = await openPairs();
    const other = new PairedDatasets({ catalog: (await openAnother()).catalog, accountId: subject.accountId });
    const target = await subject.create('training');
    const controls = [await subject.create('control'), await subject.create('control')];
    for (let round = 0; round < 10; round++) {
      const [control, another] = round % 2 === 0 ? controls : controls.toReversed();
      await Promise.all([
        other.link(target, round % 4 === 3 ? {} : { control_1: control! }),
        subject.put(target, [`${round % 4}.jpg`]),
        subject.put(control!, [`${round % 3}.jpg`]),
        other.put(another!, [`${round % 5}.jpg`]),
        other.link(target, { control_1: another!, control_2: control! }),
        subject.remove(control!, `${round % 2}.jpg`),
      ]);
      expect(await wrong(target)).toEqual([]);
      expect(await unpaired(target)).toBe(await subject.errorsOf(await datasetOf(target)));
    }
  });
});
