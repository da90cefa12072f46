import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { ServiceDependencies } from '../../../src/service/dependencies.js';
import { emptyTrash } from '../../../src/service/jobs/clean-up-jobs.js';
import { query } from '../../../src/storage/database/database.js';
import { onCatalogs, openDisk } from '../../harness/backends.js';

onCatalogs((open) => {
  test("blobs that can not be deleted stay in the trash, and don't keep others in it", async () => {
    const { catalog, database } = await open();
    const { folder, blobs } = await openDisk();
    const names = Array.from(
      { length: 1200 },
      (_, i) => `d/${(i % 256).toString(16).padStart(2, '0')}${'0'.repeat(26)}${i}`,
    );
    await catalog.trash.add(names, 5);
    const left = async () =>
      (await database.run(query.selectFrom('trash').select('blob_key'))).map((row) => row.blob_key);
    // Nothing can be deleted below a file in place of a folder.
    const shard = join(folder, '07');
    await rm(shard, { recursive: true });
    await writeFile(shard, '');
    const dependencies = { catalog, blobs, now: () => 10 } as unknown as ServiceDependencies;
    await expect(emptyTrash(dependencies)).rejects.toMatchObject({ code: 'unavailable' });
    expect((await left()).sort()).toEqual(names.filter((name) => name.startsWith('d/07')).sort());
    await rm(shard);
    await emptyTrash({ ...dependencies, now: () => 11 });
    expect(await left()).toEqual([]);
  });
});
