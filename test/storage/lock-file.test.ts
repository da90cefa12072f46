import { spawnSync } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { acquireLock } from '../../src/storage/lock-file.js';
import { newRoot } from '../harness/mounting.js';

test('of many that find the lock of an ended process, one at a time works', async () => {
  const root = await newRoot();
  const path = join(root, 'lock');
  const { pid } = spawnSync('true');
  /** Ends as a process that is killed: the lock stays. */
  const abandonLock = async () => writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, 'utf8')), pid }));
  let [inside, most] = [0, 0];
  const work = async () => {
    most = Math.max(most, ++inside);
    for (let i = 0; i < 5; i++) await turn();
    await abandonLock();
    inside--;
  };
  const { signal } = new AbortController();
  const lockAndWork = async () => {
    const release = await acquireLock(path, { signal });
    await work().finally(release);
  };
  await Promise.all(Array.from({ length: 20 }, lockAndWork));
  expect(most).toBe(1);
  expect((await readdir(root)).filter((name) => name !== 'lock')).toEqual([]);
});
