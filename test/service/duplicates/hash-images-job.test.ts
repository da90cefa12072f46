import { expect, test } from 'vitest';
import { MICROS_PER_SECOND } from '../../../src/dataset/dataset.js';
import { ServiceError } from '../../../src/dataset/errors.js';
import { store } from '../../../src/dataset/upload-transitions.js';
import { hashImagesJob } from '../../../src/service/duplicates.js';
import { laptop } from '../../harness/author.js';
import { onCatalogs } from '../../harness/backends.js';
import { imageNamed } from '../../harness/stored-image.js';

const APPEARANCE = { hash: 'a hash', thumbhash: 'a placeholder' };

onCatalogs((open) => {
  const openJob = async () => {
    const { accountId, catalog } = await open();
    await catalog.createDataset({ id: 'd', accountId, name: 'd', createdAt: 1 });
    for (const name of ['a', 'b', 'c']) {
      const change = { datasetId: 'd', filenames: [`${name}.jpg`], now: 1, isActivity: true, author: laptop };
      await catalog.change(change, (group) => store(group, imageNamed(name), undefined));
    }
    const state = { now: 2, isUploading: false, unreadable: '' };
    const prepare = async ({ id }: { id: string }) => {
      if (id === state.unreadable) throw new ServiceError('unavailable', 'The store does not answer.');
      return APPEARANCE;
    };
    const parts = { catalog, now: () => state.now };
    const { run } = hashImagesJob(
      parts,
      { prepare, kinds: async () => ['image'] as const },
      { areUploading: () => state.isUploading },
    );
    const job = { kind: 'hash-images', key: 'd', accountId, payload: {}, failures: 0, error: undefined } as const;
    const runOnce = () => run({ ...job, lease: 'x', generation: 0 }, new AbortController().signal);
    const missing = async () =>
      (await catalog.hashes.missing('d', { kinds: ['image'], limit: 10 })).map(({ id }) => id);
    return { state, runOnce, missing };
  };

  test('images are hashed, and the job ends once none is left', async () => {
    const { state, runOnce, missing } = await openJob();
    expect(await runOnce()).toEqual({ dueAt: state.now });
    expect(await missing()).toEqual([]);
    expect(await runOnce()).toBe('done');
  });

  test('images wait while the service receives uploads, and not longer than half a minute', async () => {
    const { state, runOnce, missing } = await openJob();
    state.isUploading = true;
    expect(await runOnce()).toEqual({ dueAt: state.now + MICROS_PER_SECOND });
    expect(await missing()).toEqual(['a', 'b', 'c']);
    state.now += 30 * MICROS_PER_SECOND;
    await runOnce();
    expect(await missing()).toEqual([]);
  });

  test('an image that can not be read now fails the job, which keeps the others', async () => {
    const { state, runOnce, missing } = await openJob();
    state.unreadable = 'c';
    await expect(runOnce()).rejects.toThrow('does not answer');
    expect(await missing()).toEqual(['c']);
    state.unreadable = '';
    await runOnce();
    expect(await missing()).toEqual([]);
  });
});
