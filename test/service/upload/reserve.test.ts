import { expect, test } from 'vitest';
import { MAX_BATCH_FILES } from '../../../src/api/limits.js';
import type { ServiceDependencies } from '../../../src/service/dependencies.js';
import { Quota } from '../../../src/service/limits/limits.js';
import { Uploads } from '../../../src/service/upload/uploads.js';
import { laptop } from '../../harness/author.js';
import { onCatalogs } from '../../harness/backends.js';

onCatalogs((open) => {
  test('the largest batch of links is reserved at once, and one with a file too many not at all', async () => {
    const { catalog, accountId } = await open();
    const key = { accountId, id: 'd' };
    await catalog.createDataset({ ...key, name: 'd', createdAt: 1 });
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
    const sizesOf = (count: number) => new Map(Array.from({ length: count }, (_, i) => [`${i}.jpg`, 10]));
    const pending = async () => (await catalog.dataset(key))?.counts.pending;
    const tooMany = uploads.reserve(key, sizesOf(MAX_BATCH_FILES + 1), { author: laptop });
    await expect(tooMany).rejects.toMatchObject({ code: 'too_large' });
    expect(await pending()).toBe(0);
    const files = await uploads.reserve(key, sizesOf(MAX_BATCH_FILES), { author: laptop });
    expect([files.size, await pending()]).toEqual([MAX_BATCH_FILES, MAX_BATCH_FILES]);
  });
});
