import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { put } from '../harness/api.js';
import { findingsOf } from '../harness/checking.js';
import { discardServer, eventually, NO_HISTORY, startServer } from '../harness/server.js';
import { faultsOf } from './remains.js';
import { mountSmallDisk } from './small-disk.js';

/** The folders of the blobs take 256. */
const INODES = 300;

test('a disk without inodes is a full disk, and serves on when there are some', async ({ skip }) => {
  const disk = await mountSmallDisk(50, { inodes: INODES });
  if ('refusal' in disk) return skip(disk.refusal);
  const settings = { ...NO_HISTORY, 'blob-grace-seconds': 0, 'lease-seconds': 1 };
  const server = await startServer(settings, { dataFolder: join(disk.folder, 'data') });
  try {
    const api = await server.api();
    const id = await api.newDataset();
    const link = await api.link(id, 'linked.txt', 9);
    let count = 0;
    let status = 200;
    for (; status === 200; count++) ({ status } = await api.upload(id, `${count}.txt`, `caption ${count}`));
    expect(status).toBe(507);
    expect(count).toBeGreaterThan(10);
    // A blob needs a second inode for its name, so one is left.
    const filler = join(disk.folder, 'filler');
    await writeFile(filler, '');
    const refused = await put(link, 'a caption');
    expect([refused.status, refused.body.error_code]).toEqual([507, 507001]);
    expect((await api.upload(id, 'x.txt', 'of any kind')).status).toBe(507);
    expect((await fetch(`${server.url}/readyz`)).status).not.toBe(200);
    expect(await api.filenames(id)).toHaveLength(count - 1);
    expect(await (await api.raw('GET', `/${id}/files/0.txt`)).text()).toBe('caption 0');

    await rm(filler);
    for (const name of ['0.txt', '1.txt'])
      expect((await api.request('DELETE', `/${id}/files/${name}`)).status).toBe(200);
    await eventually(async () => ((await put(link, 'a caption')).status === 200 ? true : undefined));
    await eventually(async () => ((await api.upload(id, '1.txt', 'again')).status === 200 ? true : undefined));
    expect((await api.request('DELETE', `/${id}/files/2.txt`)).status).toBe(200);
    await eventually(() =>
      findingsOf(server).then(
        (found) => found.length === 0 || undefined,
        () => undefined,
      ),
    );
    expect(faultsOf(server)).toEqual([]);
  } finally {
    await discardServer(server);
    await disk.unmount();
  }
});
