import { once } from 'node:events';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Api } from '../../harness/api.js';
import { findingsOf } from '../../harness/checking.js';
import { discardServer, startServer, type TestServer, temporaryFolder } from '../../harness/server.js';

let server: TestServer;
let api: Api;
beforeEach(async () => {
  server = await startServer();
  api = await server.api();
});
afterEach(async () => {
  const findings = await findingsOf(server);
  await discardServer(server);
  expect(findings).toEqual([]);
});

function catalogPath(): string {
  return join(server.dataFolder, 'catalog.sqlite');
}

test('after a clean stop, the catalog file alone is complete', async () => {
  const id = await api.newDataset();
  for (let index = 0; index < 20; index++) await api.upload(id, `${index}.txt`, 'a caption');
  server.process.kill('SIGTERM');
  await once(server.process, 'exit');
  const copy = join(await temporaryFolder(), 'copy.sqlite');
  await copyFile(catalogPath(), copy);
  const db = new DatabaseSync(copy);
  expect(db.prepare("select count(*) as files from file where state = 'stored'").get()).toEqual({ files: 20 });
  db.close();
});

test('while another process holds the write lock, reads are answered and writes wait for it', async () => {
  const id = await api.newDataset();
  await api.upload(id, 'first.txt', 'a caption');
  const other = new DatabaseSync(catalogPath());
  other.exec('begin immediate');
  let isStored = false;
  const upload = api.upload(id, 'second.txt', 'a caption').finally(() => {
    isStored = true;
  });
  for (let count = 0; count < 20; count++) {
    expect((await api.status(id)).body).toMatchObject({ files: [{ filename: 'first.txt' }] });
    expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
  }
  expect(isStored).toBe(false);
  other.exec('commit');
  other.close();
  expect((await upload).status).toBe(200);
});
