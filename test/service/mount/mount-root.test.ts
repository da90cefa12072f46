import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { ServiceDependencies } from '../../../src/service/dependencies.js';
import { MountRoot } from '../../../src/service/jobs/mount-job.js';
import { type Job, Jobs } from '../../../src/storage/catalog/jobs.js';
import * as media from '../../fixtures/media.js';
import type { Api } from '../../harness/api.js';
import { catalogs, openDisk } from '../../harness/backends.js';
import { pairsOf } from '../../harness/folder.js';
import { datasetOf, leaveLitter, mountedIn, newRoot } from '../../harness/mounting.js';
import { discardServer, eventually, startServer, type TestServer, temporaryFolder } from '../../harness/server.js';
import { trainerWalk } from '../../harness/trainer.js';

let root: string;
let server: TestServer;
let api: Api;
beforeAll(async () => {
  root = join(await temporaryFolder(), 'datasets');
  server = await startServer({ 'mount-root': root, 'caption-grace-seconds': 0 });
  api = await server.api();
});
afterAll(async () => {
  await discardServer(server);
  await rm(join(root, '..'), { recursive: true, force: true });
});

const digestOf = async (name: string): Promise<string | undefined> =>
  readFile(join(root, name, '.mount.json'), 'utf8').then(
    (text) => JSON.parse(text).digest,
    () => undefined,
  );
/** Waits until the current state of the dataset is mounted. */
const currentStateMounted = async (id: string, name: string) => {
  const { digest } = (await api.manifest(id)).body;
  await eventually(async () => ((await digestOf(name)) === digest ? digest : undefined));
};
const gone = (name: string) => eventually(() => (existsSync(join(root, name)) ? undefined : true));
const warned = (text: string) => eventually(() => (server.output().includes(text) ? true : undefined));

describe('serve --mount-root', () => {
  test('datasets are mounted when READY, replaced when they change, and unmounted when they are deleted', async () => {
    const id = await datasetOf(api, await pairsOf(3), 'appearing');
    await currentStateMounted(id, 'appearing');
    expect(trainerWalk(join(root, 'appearing'))).toHaveLength(3);
    await leaveLitter(join(root, 'appearing'));
    await api.upload(id, '01.jpg', await media.jpeg({ seed: 77 }));
    await currentStateMounted(id, 'appearing');
    expect(existsSync(join(root, 'appearing', '_latent_cache'))).toBe(false);
    await leaveLitter(join(root, 'appearing'));
    await api.request('DELETE', `/${id}`);
    await gone('appearing');
    // The old folders are removed right after.
    await eventually(async () => ((await mountedIn(root)).length === 0 ? true : undefined));
  });

  test('a dataset that is not READY is not mounted, and one that was mounted stays while it is not READY', async () => {
    const id = await datasetOf(api, await pairsOf(1), 'wavering');
    const failed = await api.newDataset('failed');
    await api.upload(failed, 'bare.jpg', await media.jpeg());
    await currentStateMounted(id, 'wavering');
    const digest = await digestOf('wavering');
    await api.upload(id, 'bare.jpg', await media.jpeg({ seed: 5 }));
    // Earlier changes are reconciled first.
    const later = await datasetOf(api, await pairsOf(1), 'later');
    await currentStateMounted(later, 'later');
    expect(await digestOf('wavering')).toBe(digest);
    expect(existsSync(join(root, 'failed'))).toBe(false);
    await api.upload(id, 'bare.txt', 'no longer');
    await currentStateMounted(id, 'wavering');
  });

  /** A dataset of two pairs, mounted with a control. */
  const mountedWithControl = async (name: string) => {
    const id = await datasetOf(api, await pairsOf(2), name);
    const control = (await api.json<{ id: string }>('POST', '', { name: `${name}-depth`, role: 'control' })).body.id;
    for (const i of [1, 2]) await api.upload(control, `0${i}.jpg`, await media.jpeg({ seed: 10 + i }));
    await api.json('PUT', `/${id}/links`, { control_1: control });
    await currentStateMounted(id, name);
    await currentStateMounted(control, `${name}-depth`);
    return { id, control };
  };

  test('a control is not mounted ahead of its target', async () => {
    const { id, control } = await mountedWithControl('ahead');
    const before = await digestOf('ahead-depth');
    await writeFile(join(root, 'ahead', 'mine.txt'), 'mine');
    await api.upload(control, '01.jpg', await media.jpeg({ seed: 21 }));
    await warned('ahead was changed after it was mounted');
    // Earlier changes are reconciled first.
    const later = await datasetOf(api, await pairsOf(1), 'later than ahead');
    await currentStateMounted(later, 'later than ahead');
    expect(await digestOf('ahead-depth')).toBe(before);
    await rm(join(root, 'ahead', 'mine.txt'));
    await api.upload(id, '01.txt', 'another caption');
    await currentStateMounted(id, 'ahead');
    await currentStateMounted(control, 'ahead-depth');
  });

  test('a control stays as its target was mounted with it while that is not READY, and then is by itself without links', {
    tags: ['long'],
  }, async () => {
    const { id, control } = await mountedWithControl('waiting');
    const before = await digestOf('waiting-depth');
    await api.request('DELETE', `/${control}/files/02.jpg`);
    expect((await api.status(id)).body.status).toBe('FAILED');
    // Earlier changes are reconciled first.
    const later = await datasetOf(api, await pairsOf(1), 'later than that');
    await currentStateMounted(later, 'later than that');
    expect(await digestOf('waiting-depth')).toBe(before);
    await api.json('PUT', `/${id}/links`, {});
    await currentStateMounted(id, 'waiting');
    await currentStateMounted(control, 'waiting-depth');
  });

  test("a deleted dataset's folder stays when files were added to it", async () => {
    const id = await datasetOf(api, await pairsOf(1), 'shared');
    await currentStateMounted(id, 'shared');
    await writeFile(join(root, 'shared', 'mine.txt'), 'mine');
    await api.request('DELETE', `/${id}`);
    await warned('shared was changed after it was mounted');
    expect(await readFile(join(root, 'shared', 'mine.txt'), 'utf8')).toBe('mine');
    expect(trainerWalk(join(root, 'shared'))).toHaveLength(1);
    const lines = server.output().split('\n');
    expect(lines.filter((line) => line.includes('shared was changed') && line.includes('"stack"'))).toEqual([]);
  });

  test('of two datasets with the same name in two accounts the first is mounted, and the other after it is deleted', {
    tags: ['long'],
  }, async () => {
    const other = await server.api('other');
    const mine = await datasetOf(api, await pairsOf(1), 'twin');
    await currentStateMounted(mine, 'twin');
    const theirs = await datasetOf(other, { ...(await pairsOf(2)) }, 'twin');
    await warned('twin holds another dataset');
    expect(trainerWalk(join(root, 'twin'))).toHaveLength(1);
    await api.request('DELETE', `/${mine}`);
    const { digest } = (await other.manifest(theirs)).body;
    await eventually(async () => ((await digestOf('twin')) === digest ? true : undefined));
    expect(trainerWalk(join(root, 'twin'))).toHaveLength(2);
  });

  test('a stop during a mount leaves no partial folder, and the next start mounts missed changes', async () => {
    const kept = await datasetOf(api, await pairsOf(1), 'kept');
    await currentStateMounted(kept, 'kept');
    const lost = await datasetOf(api, await pairsOf(1), 'lost');
    await currentStateMounted(lost, 'lost');
    const { ino } = await stat(join(root, 'kept'));
    const settings = { 'caption-grace-seconds': 0 };
    expect(await server.stop()).toBe(0);
    // Meanwhile the data folder is served without a mount root.
    server = await startServer(settings, { dataFolder: server.dataFolder });
    api = await server.api();
    await api.request('DELETE', `/${lost}`);
    const fresh = await datasetOf(api, await pairsOf(2), 'fresh');
    expect(await server.stop()).toBe(0);
    server = await startServer({ ...settings, 'mount-root': root }, { dataFolder: server.dataFolder });
    api = await server.api();
    await currentStateMounted(fresh, 'fresh');
    await gone('lost');
    expect((await stat(join(root, 'kept'))).ino).toBe(ino);
  });
});

describe('the jobs of a mount root', () => {
  /** A mount root whose jobs the test runs. */
  async function open() {
    const { catalog, accounts, accountId, database } = await catalogs[0]!.open();
    const { blobs } = await openDisk();
    const jobs = new Jobs(database);
    const clock = { at: 1_000_000 };
    const dependencies = { catalog, blobs, jobs, now: () => clock.at } as unknown as ServiceDependencies;
    const folder = await newRoot();
    const log = { info: () => {}, warn: () => {} };
    const mountRoot = new MountRoot(dependencies, { root: folder, dataFolder: 'data', log });
    onTestFinished(() => mountRoot.stop());
    await mountRoot.start();
    /** Claims all jobs that are due. */
    const claimed = async () => {
      const found: Job[] = [];
      for (const owner of await jobs.owners(['mount'])) {
        const lease = { now: clock.at, until: clock.at + 60_000_000, token: 'lease' };
        for (let job = await jobs.claim(owner, lease); job; job = await jobs.claim(owner, lease)) found.push(job);
      }
      return found;
    };
    const [all] = await claimed();
    const run = (job: Pick<Job, 'key'>) => mountRoot.handler.run(job as Job, new AbortController().signal);
    const runFor = (id: string) => run({ key: `${all!.key}${id}` });
    const newDataset = (id: string, owner = accountId) =>
      catalog.createDataset({ id, accountId: owner, name: id, role: 'training', createdAt: 1 });
    return { accounts, accountId, catalog, jobs, clock, folder, claimed, runFor, newDataset };
  }

  test('each account owns its own, so that none waits for all jobs of another', async () => {
    const { accounts, accountId, claimed, runFor, newDataset } = await open();
    const { token } = await accounts.createToken('other', 1);
    const other = (await accounts.grantOf(token))!.accountId;
    for (const id of ['a1', 'a2']) await newDataset(id);
    await newDataset('b1', other);
    await runFor('');
    const owners = (await claimed()).map(({ key, accountId: owner }) => [key, owner].map((text) => text.split('/')[1]));
    expect(Object.fromEntries(owners)).toEqual({ a1: accountId, a2: accountId, b1: other });
  });

  test('a change is enqueued although another process did the job of an earlier change', async () => {
    const { jobs, clock, claimed, newDataset, catalog } = await open();
    await newDataset('a1');
    await expect.poll(() => jobs.owners(['mount'])).toMatchObject([{}, { dueAt: 3_000_000 }]);
    clock.at = 3_000_000;
    const [job] = await claimed();
    await jobs.finish(job!, clock.at);
    clock.at = 4_000_000;
    catalog.changes.announce({ datasetId: 'a1' });
    await expect.poll(() => jobs.owners(['mount'])).toMatchObject([{}, { dueAt: 6_000_000 }]);
  });

  test('a changed folder of a deleted dataset does not keep its other folders', async () => {
    const { folder, runFor } = await open();
    for (const name of ['first', 'second']) {
      await mkdir(join(folder, name));
      const record = { format: 1, dataset_id: 'gone', name, digest: '', source: 'data', files: [] };
      await writeFile(join(folder, name, '.mount.json'), JSON.stringify(record));
    }
    await writeFile(join(folder, 'first', 'mine.txt'), 'mine');
    await expect(runFor('gone')).rejects.toMatchObject({ code: 'changed' });
    expect(await mountedIn(folder)).toEqual(['first']);
  });

  test('a job fails while the folder of the root can not be read', async () => {
    const { folder, runFor } = await open();
    await rm(folder, { recursive: true });
    expect(await runFor('gone')).toBe('done');
    await writeFile(folder, 'no folder');
    await expect(runFor('gone')).rejects.toMatchObject({ code: 'ENOTDIR' });
  });
});
