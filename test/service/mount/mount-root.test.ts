import { existsSync } from 'node:fs';
import { cp, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { DatasetKey } from '../../../src/service/datasets.js';
import { JobRunner } from '../../../src/service/jobs/job-runner.js';
import { MountRoot } from '../../../src/service/jobs/mount-job.js';
import { Jobs } from '../../../src/storage/catalog/jobs.js';
import * as media from '../../fixtures/media.js';
import { laptop } from '../../harness/author.js';
import { pairsOf } from '../../harness/folder.js';
import { datasetOf, leaveLitter, mountedIn, newRoot } from '../../harness/mounting.js';
import { discardServer, eventually, startServer } from '../../harness/server.js';
import { trainerWalk } from '../../harness/trainer.js';
import { openPlace, SECOND } from '../check/check-service.js';

/** The digest that the record of a mounted dataset has. */
const digestIn = async (root: string, name: string): Promise<string | undefined> =>
  readFile(join(root, name, '.mount.json'), 'utf8').then(
    (text) => JSON.parse(text).digest,
    () => undefined,
  );

test('a server mounts datasets when they are READY and after changes, unmounts deleted ones, and catches up at its start', async () => {
  const root = await newRoot();
  const settings = { 'mount-root': root, 'caption-grace-seconds': 0 };
  let server = await startServer(settings);
  onTestFinished(() => discardServer(server));
  let api = await server.api();
  const currentStateMounted = async (id: string, name: string) => {
    const { digest } = (await api.manifest(id)).body;
    await eventually(async () => (await digestIn(root, name)) === digest || undefined);
  };
  const kept = await datasetOf(api, await pairsOf(1), 'kept');
  const changing = await datasetOf(api, await pairsOf(3), 'changing');
  await currentStateMounted(kept, 'kept');
  await currentStateMounted(changing, 'changing');
  expect(trainerWalk(join(root, 'changing'))).toHaveLength(3);
  await leaveLitter(join(root, 'changing'));
  await api.upload(changing, '01.jpg', await media.jpeg({ seed: 77 }));
  await currentStateMounted(changing, 'changing');
  expect(existsSync(join(root, 'changing', '_latent_cache'))).toBe(false);

  const { ino } = await stat(join(root, 'kept'));
  const { dataFolder } = server;
  expect(await server.stop()).toBe(0);
  // Meanwhile the data folder is served without a mount root.
  server = await startServer({ 'caption-grace-seconds': 0 }, { dataFolder });
  api = await server.api();
  await api.request('DELETE', `/${changing}`);
  const fresh = await datasetOf(api, await pairsOf(2), 'fresh');
  expect(await server.stop()).toBe(0);
  server = await startServer(settings, { dataFolder });
  api = await server.api();
  await currentStateMounted(fresh, 'fresh');
  await expect.poll(() => existsSync(join(root, 'changing'))).toBe(false);
  expect((await stat(join(root, 'kept'))).ino).toBe(ino);
  await leaveLitter(join(root, 'fresh'));
  await api.request('DELETE', `/${fresh}`);
  // The old folders are removed right after.
  await expect.poll(() => mountedIn(root)).toEqual(['kept']);

  expect(await server.stop()).toBe(0);
  // As when its disk is not mounted.
  await rename(dataFolder, join(root, '.away'));
  server = await startServer(settings, { dataFolder });
  api = await server.api();
  await currentStateMounted(await datasetOf(api, await pairsOf(1), 'new'), 'new');
  expect(existsSync(join(root, 'kept'))).toBe(true);
});

/** A mount root whose clock is ahead as much as its jobs need. */
async function open() {
  const { newInstance, accounts, catalog, database, datasets, folder, key, removals, time } = await openPlace();
  const { dependencies, upload } = newInstance();
  const root = await newRoot();
  // A table of jobs wakes one runner.
  const jobs = new Jobs(database);
  const log = { info: () => {}, warn: () => {} };
  const mountRoot = new MountRoot({ ...dependencies, jobs }, { root, dataFolder: folder, log });
  const errors: string[] = [];
  const { now, newId } = dependencies;
  const runner = new JobRunner({
    ...{ jobs, now, newId, isAlone: true, handlers: [mountRoot.handler] },
    // Longer than the clock is ever ahead.
    leaseDuration: 1_000_000 * SECOND,
    onError: (error) => errors.push(String(error)),
  });
  onTestFinished(async () => {
    mountRoot.stop();
    await runner.stop();
  });
  await mountRoot.start();
  /** Lets time pass until the condition is met. */
  const passes = (isMet: () => boolean | Promise<boolean>) =>
    eventually(async () => {
      time.ahead += SECOND;
      jobs.wake();
      return (await isMet()) || undefined;
    });
  const uploadAll = async (of: DatasetKey, files: Record<string, Buffer | string>) => {
    for (const [name, bytes] of Object.entries(files)) await upload(name, bytes, of);
  };
  return {
    ...{ accounts, catalog, datasets, errors, jobs, now, removals, root, runner, time, passes, upload, uploadAll },
    /** A dataset of one pair, or with these files. */
    newDataset: async (
      name: string,
      { files, ...more }: { files?: Record<string, Buffer | string>; role?: 'control'; accountId?: string } = {},
    ) => {
      const created = { accountId: key.accountId, id: newId(), name, createdAt: now(), ...more };
      await catalog.createDataset(created);
      await uploadAll(created, files ?? (await pairsOf(1)));
      return created;
    },
    /** Waits until the current state of the dataset is mounted. */
    currentStateMounted: async (of: DatasetKey & { name: string }) => {
      const { digest } = await datasets.view(of);
      await passes(async () => digest !== undefined && (await digestIn(root, of.name)) === digest);
    },
    failed: (text: string) => passes(() => errors.some((error) => error.includes(text))),
  };
}

test('a dataset that is not READY is not mounted, and one that was mounted stays while it is not READY', async () => {
  const { newDataset, currentStateMounted, uploadAll, runner, root } = await open();
  runner.start();
  const wavering = await newDataset('wavering');
  await newDataset('failed', { files: { 'bare.jpg': await media.jpeg() } });
  await currentStateMounted(wavering);
  const digest = await digestIn(root, 'wavering');
  await uploadAll(wavering, { 'bare.jpg': await media.jpeg({ seed: 5 }) });
  // Earlier changes are reconciled first.
  await currentStateMounted(await newDataset('later'));
  expect(await digestIn(root, 'wavering')).toBe(digest);
  expect(existsSync(join(root, 'failed'))).toBe(false);
  await uploadAll(wavering, { 'bare.txt': 'no longer' });
  await currentStateMounted(wavering);
});

test('a control is not mounted ahead of its target, and by itself once it is the control of none', async () => {
  const opened = await open();
  const { newDataset, currentStateMounted, catalog, removals, uploadAll, failed, now, runner, root } = opened;
  runner.start();
  const target = await newDataset('ahead', { files: await pairsOf(2) });
  const { '01.jpg': first = '', '02.jpg': second = '' } = await pairsOf(2);
  const control = await newDataset('depth', { role: 'control', files: { '01.jpg': second, '02.jpg': first } });
  await catalog.links.replace(target, { links: [{ slot: 'control_1', linkedId: control.id }], now: now() });
  await currentStateMounted(target);
  await currentStateMounted(control);
  const before = await digestIn(root, 'depth');
  await writeFile(join(root, 'ahead', 'mine.txt'), 'mine');
  await uploadAll(control, { '01.jpg': await media.jpeg({ seed: 21 }) });
  await failed('ahead was changed after it was mounted');
  await currentStateMounted(await newDataset('later'));
  expect(await digestIn(root, 'depth')).toBe(before);
  await rm(join(root, 'ahead', 'mine.txt'));
  await uploadAll(target, { '01.txt': 'another caption' });
  await currentStateMounted(target);
  await currentStateMounted(control);

  const together = await digestIn(root, 'depth');
  await removals.file(control, '02.jpg', { author: laptop });
  await currentStateMounted(await newDataset('later still'));
  expect(await digestIn(root, 'depth')).toBe(together);
  await catalog.links.replace(target, { links: [], now: now() });
  await currentStateMounted(target);
  await currentStateMounted(control);
});

test("a deleted dataset's folder stays when files were added to it, and does not keep its other folders", async () => {
  const { newDataset, currentStateMounted, datasets, failed, passes, runner, root } = await open();
  runner.start();
  const shared = await newDataset('shared');
  await currentStateMounted(shared);
  await cp(join(root, 'shared'), join(root, 'earlier'), { recursive: true });
  const record = await readFile(join(root, 'shared', '.mount.json'), 'utf8');
  await writeFile(join(root, 'earlier', '.mount.json'), record.replace('"shared"', '"earlier"'));
  await writeFile(join(root, 'shared', 'mine.txt'), 'mine');
  await datasets.remove(shared);
  await failed('shared was changed after it was mounted');
  await passes(() => !existsSync(join(root, 'earlier')));
  expect(await readFile(join(root, 'shared', 'mine.txt'), 'utf8')).toBe('mine');
  expect(trainerWalk(join(root, 'shared'))).toHaveLength(1);
});

test('of two datasets with the same name in two accounts the first is mounted, and the other after it is deleted', async () => {
  const { newDataset, currentStateMounted, accounts, datasets, failed, runner, root } = await open();
  runner.start();
  const { token } = await accounts.createToken('other', 1);
  const { accountId } = (await accounts.grantOf(token))!;
  const mine = await newDataset('twin');
  await currentStateMounted(mine);
  const theirs = await newDataset('twin', { accountId, files: await pairsOf(2) });
  await failed('twin holds another dataset');
  expect(trainerWalk(join(root, 'twin'))).toHaveLength(1);
  await datasets.remove(mine);
  await currentStateMounted(theirs);
});
