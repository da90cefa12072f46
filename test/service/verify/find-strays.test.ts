import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { inspect } from '../../../src/dataset/inspect/inspect.js';
import { CaptionWrites } from '../../../src/service/bulk.js';
import type { Inspector, ServiceDependencies } from '../../../src/service/dependencies.js';
import { straysIn } from '../../../src/service/verify/verify-store.js';
import { DiskBlobs } from '../../../src/storage/blobs/disk/disk-blobs.js';
import type { Database } from '../../../src/storage/database/database.js';
import { laptop } from '../../harness/author.js';
import { onCatalogs, openDisk } from '../../harness/backends.js';
import { Gate } from '../../harness/gate.js';

/** A database that calls `act` after this number of reads. */
function afterReads(database: Database, { count, act }: { count: number; act: () => Promise<unknown> }): Database {
  let reads = 0;
  return {
    ...database,
    run: async (statement) => {
      const rows = await database.run(statement);
      reads++;
      if (reads === count) await act();
      return rows;
    },
  };
}

onCatalogs((open) => {
  test.each([1, 2])('captions whose rows are added after read %i of a check are no strays', async (count) => {
    const { catalog, accountId, openAnother } = await open();
    const { folder, blobs } = await openDisk();
    const [stored, resume] = [new Gate(), new Gate()];
    const inspectLast: Inspector = async (file) => {
      if (file.filename === 'last.txt') {
        stored.open();
        await resume.opened;
      }
      return inspect(file);
    };
    const newId = () => randomUUID().replaceAll('-', '');
    const now = () => 1_000_000;
    const dependencies = { catalog, blobs, inspect: inspectLast, newId, now };
    const key = { accountId, id: newId() };
    await catalog.createDataset({ ...key, name: 'dogs', createdAt: 1 });
    // More than are written at once, so that the first one is stored before the last one is inspected.
    const names = [...Array.from({ length: 20 }, (_, i) => `${i}.txt`), 'last.txt'];
    const saving = new CaptionWrites(dependencies as unknown as ServiceDependencies).save(
      key,
      names.map((filename) => ({ filename, text: `train ${filename}` })),
      { author: laptop, signal: new AbortController().signal },
    );
    await stored.opened;

    const inventory = DiskBlobs.openBeside(folder);
    const { value: objects } = await inventory.objects().next();
    expect(objects.filter(({ kind }: { kind: string }) => kind === 'blob').length).toBeGreaterThan(0);
    const finish = () => {
      resume.open();
      return saving;
    };
    // Another process, as the check is: SQLite has one statement at a time in one.
    const database = afterReads((await openAnother()).database, { count, act: finish });
    expect(await straysIn(objects, { database, inventory })).toEqual([]);
    expect((await finish()).captions.every(({ outcome }) => outcome === 'saved')).toBe(true);
  });
});
