import { expect, onTestFinished, test } from 'vitest';
import { Api } from '../harness/api.js';
import { whyNoPostgres } from '../harness/available.js';
import { trainyard } from '../harness/command.js';
import { startPostgres } from '../harness/postgres.js';
import { newToken, serverUntil } from '../harness/server.js';
import { contentOf } from './contents.js';
import { faultsOf, isAlive } from './remains.js';
import { mountSmallDisk } from './small-disk.js';

/** A new Postgres takes about half of it. */
const DISK_MEGABYTES = 160;

const leftOut = whyNoPostgres();

const title = `while the disk of Postgres is full, what needs space is answered with 507 and leaves nothing${leftOut ? `, left out: ${leftOut}` : ''}`;
test.skipIf(leftOut !== undefined)(title, async ({ skip }) => {
  const disk = await mountSmallDisk(DISK_MEGABYTES);
  if ('refusal' in disk) return skip(disk.refusal);
  onTestFinished(disk.unmount);
  const postgres = await startPostgres({ below: disk.folder });
  onTestFinished(postgres.discard);
  const env = { DATABASE_URL: postgres.url };
  const server = await serverUntil(onTestFinished, { 'blob-grace-seconds': 0 }, { env });
  const api = new Api(server.url, await newToken(server.dataFolder, 'default', env));
  const id = await api.newDataset();
  expect((await api.upload(id, 'before.jpg', contentOf('before.jpg', 'before'))).status).toBe(200);
  disk.fill();

  // Pages with space left are used first.
  const stored = ['before.jpg'];
  const kinds = [
    async (i: number) => {
      const { status } = await api.upload(id, `during_${i}.txt`, `a red wagon, ${i}`);
      if (status === 200) stored.push(`during_${i}.txt`);
      return status;
    },
    async (i: number) => (await api.links(id, { [`reserved_${i}.jpg`]: 1000 })).status,
    async () => (await api.create()).status,
  ];
  for (const send of kinds) {
    let status = 200;
    for (let i = 0; status === 200 && i < 1000; i++) status = await send(i);
    expect(status).toBe(507);
  }
  expect(await api.filenames(id)).toEqual(stored.toSorted());
  expect((await api.raw('GET', `/${id}/files/before.jpg`)).status).toBe(200);

  disk.release();
  expect((await api.upload(id, 'after.txt', 'a red wagon')).status).toBe(200);
  expect(await api.filenames(id)).toEqual([...stored, 'after.txt'].toSorted());
  const checkStore = ['verify', '--store', '--data', server.dataFolder, '--blob-grace-seconds', '0', '--json'];
  expect((await trainyard(checkStore, { env })).json()).toMatchObject({ findings: [] });
  expect({ isAlive: isAlive(server), faults: faultsOf(server) }).toEqual({ isAlive: true, faults: [] });
});
