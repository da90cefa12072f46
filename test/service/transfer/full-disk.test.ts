import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mountSmallDisk, type SmallDisk } from '../../faults/small-disk.js';
import { trainyard } from '../../harness/command.js';
import { discardServer, startServer, type TestServer } from '../../harness/server.js';

const DISK_MEGABYTES = 8;
/** A catalog has some hundred kilobytes, and the captions two million. */
const LEFT_BYTES = [0, 250_000, 1_000_000];

let mounted: SmallDisk | { refusal: string };
let server: TestServer;
beforeAll(async () => {
  mounted = await mountSmallDisk(DISK_MEGABYTES);
  server = await startServer();
  const api = await server.api();
  const id = await api.newDataset();
  for (let i = 0; i < 20; i++) expect((await api.upload(id, `${i}.txt`, `${i} `.repeat(40_000))).status).toBe(200);
});
afterAll(async () => {
  await discardServer(server);
  if (!('refusal' in mounted)) await mounted.unmount();
});

test('a backup and a restore say whose disk is full, wherever they stop, and go on once it has space', async ({
  skip,
}) => {
  if ('refusal' in mounted) return skip(mounted.refusal);
  const disk = mounted;
  const backup = join(disk.folder, 'backup');
  const restored = join(disk.folder, 'restored');
  const steps = [
    [backup, ['backup', backup, '--data', server.dataFolder]],
    [restored, ['restore', backup, '--data', restored]],
  ] as const;
  for (const [folder, args] of steps) {
    for (const left of LEFT_BYTES) {
      disk.fill(left);
      const { code, stdout, stderr } = await trainyard([...args]);
      expect([left, code, stdout, stderr]).toEqual([
        left,
        74,
        '',
        `trainyard: the disk of ${folder} is full. Free some space, and run the same command again to go on.\n`,
      ]);
      disk.release();
    }
    expect((await trainyard([...args])).code).toBe(0);
  }
});
