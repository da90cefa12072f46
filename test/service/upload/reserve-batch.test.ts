import { expect, test } from 'vitest';
import type { ServiceDependencies } from '../../../src/service/dependencies.js';
import { Quota } from '../../../src/service/limits/quota.js';
import { Uploads } from '../../../src/service/upload/uploads.js';
import { laptop } from '../../harness/author.js';
import { catalogs, onEach } from '../../harness/backends.js';

const FILES = 350;
const MAX_FILES_A_TRANSACTION = 100;

onEach(catalogs, (open) => {
  /** A batch of links for an empty dataset. */
  const reserve = async (signal: AbortSignal) => {
    const { catalog, accountId } = await open();
    await catalog.createDataset({ id: 'd', accountId, name: 'd', createdAt: 1 });
    let ids = 0;
    const dependencies = {
      catalog,
      blobs: {},
      now: () => 100,
      rules: { linkLifetime: 1000, maxLinkBytes: 1000 },
      newId: () => `batch-${++ids}`,
    };
    const uploads = new Uploads(
      dependencies as unknown as ServiceDependencies,
      new Quota({ ofAccount: 1, what: 'uploads' }),
    );
    const sizes = new Map(Array.from({ length: FILES }, (_, i) => [`${i}.jpg`, 10]));
    const slices = uploads.reserveBatch({ accountId, id: 'd' }, sizes, { author: laptop, signal });
    const counts = async () => (await catalog.dataset({ accountId, id: 'd' }))?.counts.pending;
    return { slices, counts };
  };

  test('a batch of links is reserved a hundred files at a time', async () => {
    const { slices, counts } = await reserve(new AbortController().signal);
    const sizes: number[] = [];
    for await (const slice of slices) sizes.push(slice.size);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(MAX_FILES_A_TRANSACTION);
    expect(await counts()).toBe(FILES);
  });

  test('a batch that is ended between two slices leaves nothing reserved', async () => {
    const ending = new AbortController();
    const { slices, counts } = await reserve(ending.signal);
    const reason = new Error('the end');
    let reserved = 0;
    const all = (async () => {
      for await (const slice of slices) {
        reserved += slice.size;
        if (reserved >= 2 * MAX_FILES_A_TRANSACTION) ending.abort(reason);
      }
    })();
    await expect(all).rejects.toBe(reason);
    expect(reserved).toBeLessThan(FILES);
    expect(await counts()).toBe(0);
  });
});
