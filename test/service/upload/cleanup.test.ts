import { rm } from 'node:fs/promises';
import { expect, onTestFinished, test } from 'vitest';
import type { ServiceDependencies } from '../../../src/service/dependencies.js';
import { cleanUp } from '../../../src/service/upload/cleanup.js';
import { DiskBlobs } from '../../../src/storage/blobs/disk/disk-blobs.js';
import { catalogs, onEach } from '../../harness/backends.js';
import { temporaryFolder } from '../../harness/server.js';

onEach(catalogs, (open) => {
  test('a server that stops does not wait until all of a large trash is deleted', async () => {
    const { catalog, database } = await open();
    const folder = await temporaryFolder();
    const blobs = await DiskBlobs.open(folder);
    onTestFinished(async () => {
      await blobs.close();
      await rm(folder, { recursive: true });
    });
    const names = Array.from({ length: 1200 }, (_, i) => `d/${i.toString(16).padStart(32, '0')}`);
    await catalog.addToTrash(names, 5);
    const left = async () => (await database.query.selectFrom('trash').select('blob_key').execute()).length;
    const stopping = new AbortController();
    const stopsMeanwhile = {
      delete: async (keys: readonly string[]) => {
        stopping.abort();
        await blobs.delete(keys);
      },
    };
    const dependencies = { catalog, blobs: stopsMeanwhile, now: () => 10 } as unknown as ServiceDependencies;
    await cleanUp(dependencies, { signal: stopping.signal });
    expect(await left()).toBe(700);
    await cleanUp({ ...dependencies, blobs });
    expect(await left()).toBe(0);
  });
});
