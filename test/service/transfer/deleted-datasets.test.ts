import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { backUp } from '../../../src/service/transfer/backup.js';
import { migrate } from '../../../src/service/transfer/migrate.js';
import { openSqlite } from '../../../src/storage/database/sqlite.js';
import { startServer } from '../../harness/server.js';
import { newFolder, stopped } from '../../harness/transferring.js';

/** A data folder whose server was stopped before it removed the files of a deleted dataset. */
async function folderWithDeleted(): Promise<string> {
  const server = await startServer();
  const api = await server.api();
  const id = await api.newDataset('deleted');
  await api.upload(id, 'a.txt', 'a caption');
  expect((await api.request('DELETE', `/${id}`)).status).toBe(200);
  return stopped(server);
}

async function fileRowsIn(folder: string, name = 'catalog.sqlite'): Promise<number> {
  const database = await openSqlite(join(folder, name));
  const rows = await database.query.selectFrom('file').select('id').execute();
  await database.close();
  return rows.length;
}

const installationIn = (dataFolder: string) => {
  return { dataFolder, databaseUrl: undefined, blobs: { kind: 'disk' } } as const;
};

async function migrateTo(target: string, from: string, signal: AbortSignal) {
  const options = { spoolFolder: await newFolder(), spoolBytes: 1_000_000, skipsLost: false, signal };
  return migrate(installationIn(from), installationIn(target), options);
}

test('a migration that is refused or interrupted leaves the deleted datasets of its source; one that is not removes them', async () => {
  const folder = await folderWithDeleted();
  const { signal } = new AbortController();
  const occupied = await folderWithDeleted();
  await expect(migrateTo(occupied, folder, signal)).rejects.toMatchObject({ code: 'occupied' });
  await rm(join(occupied, 'catalog.sqlite'));
  await expect(migrateTo(occupied, folder, signal)).rejects.toMatchObject({ code: 'occupied' });
  expect(await fileRowsIn(folder)).toBe(1);
  const target = await newFolder();
  await expect(migrateTo(target, folder, AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
  expect(await fileRowsIn(folder)).toBe(1);
  expect(await migrateTo(target, folder, signal)).toMatchObject({ files: 0 });
  expect([await fileRowsIn(folder), await fileRowsIn(target)]).toEqual([0, 0]);
});

test('a backup can be interrupted while it removes the files of deleted datasets, and has none of them', async () => {
  const folder = await folderWithDeleted();
  const backup = await newFolder();
  const interrupted = backUp(folder, backup, { signal: AbortSignal.abort(new Error('enough')) });
  await expect(interrupted).rejects.toThrow('enough');
  expect(await fileRowsIn(backup, 'catalog.next.sqlite')).toBe(1);
  expect(await backUp(folder, backup, { signal: new AbortController().signal })).toMatchObject({ files: 0 });
  expect([await fileRowsIn(folder), await fileRowsIn(backup)]).toEqual([1, 0]);
});
