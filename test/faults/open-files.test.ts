import { spawnSync } from 'node:child_process';
import { expect, test } from 'vitest';
import { type Api, put } from '../harness/api.js';
import { findingsOf } from '../harness/checking.js';
import { discardServer, eventually, startServer, type TestServer } from '../harness/server.js';
import { contentOf } from './contents.js';
import { directBytes, RawClient } from './raw-client.js';
import { faultsOf, isAlive, openFiles } from './remains.js';

/** Limits the open files of a running process. */
function limitFiles({ process: { pid } }: TestServer, limit: number): void {
  const { status, stderr } = spawnSync('prlimit', ['--pid', String(pid), `--nofile=${limit}:`], { encoding: 'utf8' });
  expect([status, stderr]).toEqual([0, '']);
}

const title = 'a server without free file descriptors rejects what it can not do, and serves on when it has some';
test.skipIf(process.platform !== 'linux')(title, async () => {
  const server = await startServer({ 'blob-grace-seconds': 0, 'lease-seconds': 1 });
  try {
    const api: Api = await server.api();
    const id = await api.newDataset();
    await api.upload(id, 'kept.txt', 'a caption');
    const before = openFiles(server);
    // From no descriptor for the connection to enough for all but the last step of an upload.
    for (let spare = 0; spare <= 6; spare++) {
      const link = await api.link(id, `linked-${spare}.jpg`, contentOf('linked.jpg', 'linked').length);
      limitFiles(server, before + spare);
      const work = [
        () => api.upload(id, `direct-${spare}.jpg`, contentOf('direct.jpg', 'direct')),
        () => put(link, contentOf('linked.jpg', 'linked')),
        () => api.upload(id, 'kept.txt', 'a caption'),
        () => api.raw('GET', `/${id}/files/kept.txt`),
      ];
      const statuses = await Promise.all(
        work.map((ask) =>
          ask().then(
            ({ status }) => status,
            // The connection was not accepted.
            () => 0,
          ),
        ),
      );
      expect(statuses.filter((status) => ![0, 200, 503].includes(status))).toEqual([]);
      limitFiles(server, 4096);
      // On a connection of its own, since the server may just be closing an idle one that fetch would use.
      const client = await RawClient.open(server.url);
      await client.send(directBytes(api, id, 'kept.txt', Buffer.from('a caption')));
      expect((await eventually(() => client.answer())).status).toBe(200);
      await client.hangUp();
    }
    const faults = faultsOf(server).filter((line) => !line.includes('an inspection process could not be started'));
    expect([isAlive(server), faults]).toEqual([true, []]);
    await expect.poll(() => findingsOf(server)).toEqual([]);
    expect((await api.status(id)).body.files).toContainEqual(expect.objectContaining({ filename: 'kept.txt' }));
    // Connections that fetch keeps, folders of the store, and an inspection process.
    await eventually(() => (openFiles(server) <= before + 24 ? true : undefined));
  } finally {
    await discardServer(server);
  }
});
