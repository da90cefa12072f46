import { spawnSync } from 'node:child_process';
import { expect, onTestFinished, test } from 'vitest';
import { trainyard } from '../harness/command.js';
import { newRoot } from '../harness/mounting.js';
import { discardServer, startServer } from '../harness/server.js';
import { newFolder } from '../harness/transferring.js';

test('a read-only backup is restored, and mounting from it says what to do', async ({ skip }) => {
  const server = await startServer();
  onTestFinished(() => discardServer(server));
  await (await server.api()).newDataset('wagons');
  const dir = await newFolder();
  expect((await trainyard(['backup', dir, '--data', server.dataFolder])).code).toBe(0);
  const bound = spawnSync('mount', ['--bind', dir, dir], { encoding: 'utf8' });
  if (bound.status !== 0) return skip(`no folder can be mounted: ${bound.error?.message ?? bound.stderr}`);
  try {
    spawnSync('mount', ['-o', 'remount,bind,ro', dir]);
    expect((await trainyard(['restore', dir, '--data', await newFolder()])).code).toBe(0);
    const mounted = await trainyard(['mount', 'wagons', '--data', dir, '--into', await newRoot()]);
    expect([mounted.code, mounted.stderr]).toEqual([78, expect.stringContaining(`${dir} can't be written`)]);
    expect(mounted.stderr).toContain('copy the folder');
  } finally {
    spawnSync('umount', [dir]);
  }
});
