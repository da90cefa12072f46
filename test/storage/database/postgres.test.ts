import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { PendingFile } from '../../../src/dataset/dataset.js';
import { ServiceError } from '../../../src/dataset/errors.js';
import { acquireLease, reserve } from '../../../src/dataset/upload-transitions.js';
import { BackendUnusable } from '../../../src/storage/backend-unusable.js';
import { type OpenCatalog, openCatalog } from '../../../src/storage/catalog/open-catalog.js';
import { databaseError } from '../../../src/storage/database/database.js';
import { whyNoPostgres } from '../../harness/available.js';
import { trainyard } from '../../harness/command.js';
import { databaseForTest, onDatabase, proxiedForTest } from '../../harness/postgres.js';
import { discardServer, eventually, startServer } from '../../harness/server.js';

async function open(url: string, options: { localClock?: () => number } = {}): Promise<OpenCatalog> {
  const metadata = await openCatalog({ databaseUrl: url, dataFolder: '', blobGrace: 0 }, options);
  onTestFinished(metadata.close);
  return metadata;
}

let ids = 0;
async function newDataset({ catalog, accounts, now }: OpenCatalog) {
  const { token } = await accounts.createToken('tester', now());
  const accountId = (await accounts.accountOf(token))!;
  const id = `dataset-${++ids}`;
  await catalog.createDataset({ id, accountId, name: id, createdAt: now() });
  return { accountId, id, token };
}

function openPromise(datasetId: string, filename: string, expiresAt: number): PendingFile {
  const upload = { state: 'pending', via: 'presigned', expectedBytes: 5, expiresAt } as const;
  const file = { id: `file-${++ids}`, datasetId, filename, kind: 'caption', createdAt: 1 } as const;
  return { ...file, upload: { ...upload, leaseUntil: null, leaseToken: null } };
}

function addPromise({ catalog }: OpenCatalog, file: PendingFile) {
  const change = { datasetId: file.datasetId, filenames: [file.filename], now: 5, isActivity: true };
  return catalog.change(change, (group) => reserve(group, file));
}

describe.skipIf(whyNoPostgres() !== undefined)('on Postgres', () => {
  test('processes that start on an empty database at the same moment all come up', async () => {
    const url = await databaseForTest();
    const opened = await Promise.all(Array.from({ length: 6 }, () => open(url)));
    const [first, ...others] = opened;
    const dataset = await newDataset(first!);
    for (const { catalog } of others) expect(await catalog.dataset(dataset)).toBeDefined();
  });

  test('numbers beyond 32 bits are numbers', async () => {
    const metadata = await open(await databaseForTest());
    const dataset = await newDataset(metadata);
    await addPromise(metadata, openPromise(dataset.id, 'a.txt', 2 ** 52 + 1));
    const found = await metadata.catalog.dataset(dataset);
    expect(found?.counts.pendingUntil).toBe(2 ** 52 + 1);
  });

  test('changes of one dataset through several pools add up, and creates of one name have one winner', async () => {
    const url = await databaseForTest();
    const [one, two] = [await open(url), await open(url)];
    const dataset = await newDataset(one);
    const files = Array.from({ length: 60 }, (_, i) => openPromise(dataset.id, `${i % 30}.txt`, 1000 + i));
    await Promise.all(files.map((file, i) => addPromise(i % 2 ? one : two, file)));
    const counts = (await one.catalog.dataset(dataset))?.counts;
    // The second promise of a name retires the first.
    expect(counts?.pending).toBe(30);
    expect((await two.catalog.files(dataset.id)).length).toBe(30);

    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, (_, i) =>
        [one, two][i % 2]!.catalog.createDataset({
          id: `race-${i}`,
          accountId: dataset.accountId,
          name: 'race',
          createdAt: i,
        }),
      ),
    );
    const losers = outcomes.filter((outcome) => outcome.status === 'rejected');
    expect(losers).toHaveLength(9);
    expect(losers.map(({ reason }) => reason.code)).toEqual(Array(9).fill('name_taken'));
  });

  test('a dataset is removed with all that comes in meanwhile', async () => {
    const url = await databaseForTest();
    const [one, two] = [await open(url), await open(url)];
    const dataset = await newDataset(one);
    const files = Array.from({ length: 40 }, (_, i) => openPromise(dataset.id, `${i}.txt`, 1000));
    const changes = files.map((file) => addPromise(one, file));
    expect(await two.catalog.deleteDataset(dataset, 10)).toBe(true);
    const done = await Promise.all(changes);
    const [counted] = await onDatabase(url, 'select count(*)::int as files from file');
    expect(counted?.rows).toEqual([{ files: 0 }]);
    const kept = files.filter((_, i) => done[i] !== undefined).map((file) => `${dataset.id}/${file.id}`);
    expect((await two.catalog.expiredTrash(1000)).sort()).toEqual(kept.sort());
  });

  test('a transaction that is broken off by a deadlock is begun again', async () => {
    const url = await databaseForTest();
    const metadata = await open(url);
    const dataset = await newDataset(metadata);
    await addPromise(metadata, openPromise(dataset.id, 'a.txt', 1000));
    // The first write to the dataset fails as one that another transaction had to give way to.
    await onDatabase(
      url,
      'create sequence attempts',
      `create function give_way() returns trigger language plpgsql as $$ begin
         if nextval('attempts') < 3 then raise exception 'deadlock detected' using errcode = '40P01'; end if;
         return new;
       end $$`,
      'create trigger give_way before update on dataset for each row execute function give_way()',
    );
    expect(await addPromise(metadata, openPromise(dataset.id, 'b.txt', 1000))).toMatchObject({
      counts: { pending: 2 },
    });
  });

  test('other processes are notified of changes, also of those made while the connection was broken', async () => {
    const direct = await databaseForTest();
    const { url, proxy } = await proxiedForTest(direct);
    const [here, there] = [await open(url), await open(direct)];
    const dataset = await newDataset(there);
    let [told, woken] = [0, 0];
    here.catalog.changes.onAnyChange((id) => {
      if (id === dataset.id) told++;
    });
    here.catalog.changes.onChange('some other dataset', () => woken++);
    // Listening begins some time after the start.
    await eventually(async () => {
      await addPromise(there, openPromise(dataset.id, 'a.txt', 1000));
      return told > 0 || undefined;
    });

    woken = 0;
    proxy.breakAll();
    await eventually(() => woken > 0 || undefined);
    told = 0;
    await addPromise(there, openPromise(dataset.id, 'b.txt', 1000));
    await eventually(() => told === 1 || undefined);
    // One's own changes are told at once, and do not come back.
    await addPromise(here, openPromise(dataset.id, 'c.txt', 1000));
    expect(told).toBe(2);
    await addPromise(there, openPromise(dataset.id, 'd.txt', 1000));
    await eventually(() => told >= 3 || undefined);
    expect(told).toBe(3);
  });

  test('a token is cached, and rejected once another process has revoked it', async () => {
    const { url, proxy } = await proxiedForTest(await databaseForTest());
    const [here, there] = [await open(url), await open(url)];
    const { token } = await here.accounts.createToken('tester', 1);
    const lookups = () => proxy.conversations.flatMap(({ trips }) => trips).filter((text) => /from "token"/.test(text));
    // Nothing is remembered before revocations are heard of.
    await eventually(async () => {
      const before = lookups().length;
      expect(await there.accounts.accountOf(token)).toBeDefined();
      return lookups().length === before || undefined;
    });
    const [{ id } = { id: '' }] = await here.accounts.tokens();
    await here.accounts.revokeToken(id, 5);
    expect(await here.accounts.accountOf(token)).toBeUndefined();
    await eventually(async () => ((await there.accounts.accountOf(token)) === undefined ? true : undefined), 3000);
  });

  test('the clock of the database decides, whatever the clocks of the processes say', async () => {
    const url = await databaseForTest();
    const minute = 60_000_000;
    const ahead = await open(url, { localClock: () => Date.now() * 1000 + minute });
    const behind = await open(url, { localClock: () => Date.now() * 1000 - minute });
    const [first, second, third] = [ahead.now(), behind.now(), ahead.now()];
    // Round trips on this machine take nowhere near a second.
    expect(Math.abs(second - first)).toBeLessThan(1_000_000);
    expect(third).toBeGreaterThan(first);

    const dataset = await newDataset(ahead);
    const file = openPromise(dataset.id, 'a.txt', ahead.now() + 3_600_000_000);
    await addPromise(ahead, file);
    const change = { datasetId: dataset.id, filenames: ['a.txt'], isActivity: true };
    const begin = ({ catalog, now }: OpenCatalog, token: string) =>
      catalog.change({ ...change, now: now() }, (group) =>
        acquireLease(group, file.id, { now: now(), until: now() + minute / 2, token }),
      );
    expect(await begin(behind, 'behind')).toBeDefined();
    expect(await begin(ahead, 'ahead')).toBeUndefined();
    expect(await ahead.catalog.expiredLeases(ahead.now())).toEqual([]);
    expect(await behind.catalog.datasetsWithPresignedUploads({ now: behind.now(), expiringFrom: 0 })).toEqual([]);
  });
});

describe.skipIf(whyNoPostgres() !== undefined)('a Postgres that fails', () => {
  const codeOf = (work: Promise<unknown>) =>
    work.then(
      () => 'done',
      (error) => (error instanceof ServiceError ? error.code : error),
    );

  test('says why where it can not be opened, without the password', async () => {
    const url = new URL(await databaseForTest());
    const failing = (change: (url: URL) => void) => {
      const changed = new URL(url);
      change(changed);
      return openCatalog({ databaseUrl: changed.href, dataFolder: '', blobGrace: 0 }).catch((error) => error);
    };
    const errors = await Promise.all([
      failing((changed) => {
        changed.password = 'wrong-secret';
      }),
      failing((changed) => {
        changed.pathname = 'no_such_database';
      }),
      failing((changed) => {
        changed.port = '1';
      }),
    ]);
    for (const error of errors) expect(error).toBeInstanceOf(BackendUnusable);
    expect(errors.map(({ isTemporary }) => isTemporary)).toEqual([false, false, true]);
    const messages = errors.map((error) => error.message);
    expect(messages).toEqual([
      expect.stringMatching(/password authentication failed/),
      expect.stringMatching(/no_such_database.*does not exist/),
      expect.stringMatching(/ECONNREFUSED/),
    ]);
    for (const message of messages) expect(message).not.toMatch(new RegExp(`wrong-secret|${url.password}`));
  });

  test('is unavailable while its connections break, and heals by itself', async () => {
    const { url, proxy } = await proxiedForTest(await databaseForTest());
    const metadata = await open(url);
    const dataset = await newDataset(metadata);
    const lookups = Array.from({ length: 20 }, () => codeOf(metadata.catalog.dataset(dataset)));
    const changes = Array.from({ length: 20 }, (_, i) =>
      codeOf(addPromise(metadata, openPromise(dataset.id, `${i}.txt`, 1000))),
    );
    proxy.breakAll();
    for (const code of await Promise.all([...lookups, ...changes])) expect(['done', 'unavailable']).toContain(code);
    await eventually(async () => ((await codeOf(metadata.catalog.ping())) === 'done' ? true : undefined));
    const pending = (await metadata.catalog.dataset(dataset))?.counts.pending;
    expect(pending).toBe((await metadata.catalog.files(dataset.id)).length);
  });

  test.each([
    ['ends connections for an operator', '57P01', 'unavailable'],
    ['has too many connections', '53300', 'unavailable'],
    ['has become a standby that takes no writes', '25006', 'unavailable'],
    ['gives up on a statement over its time', '57014', 'unavailable'],
    ['has a full disk', '53100', 'no_space'],
  ])('that %s is no fault of ours', async (_, state, code) => {
    const url = await databaseForTest();
    const metadata = await open(url);
    const dataset = await newDataset(metadata);
    await onDatabase(
      url,
      `create function refuse() returns trigger language plpgsql as $$ begin
         raise exception 'refused' using errcode = '${state}';
       end $$`,
      'create trigger refuse before update on dataset for each row execute function refuse()',
    );
    const error = await addPromise(metadata, openPromise(dataset.id, 'a.txt', 1000)).catch((thrown) => thrown);
    expect(databaseError(error)?.code).toBe(code);
    expect((await metadata.catalog.files(dataset.id)).length).toBe(0);
  });
});

test.skipIf(whyNoPostgres() !== undefined)('a database that falls silent is unavailable, not waited for', async () => {
  const { url, proxy } = await proxiedForTest(await databaseForTest());
  const metadata = await open(url);
  await metadata.catalog.ping();
  proxy.fallSilent();
  // The first waits on a connection it has, the others for new ones.
  const errors = await Promise.all(
    Array.from({ length: 3 }, () =>
      metadata.catalog.ping().then(
        () => undefined,
        (error) => error.code,
      ),
    ),
  );
  expect(errors).toEqual(['unavailable', 'unavailable', 'unavailable']);
});

/** Whether the process ends by itself, as one does that has nothing open any more. */
async function endsByItself(source: string): Promise<number | null> {
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', source], { stdio: 'inherit' });
  const [code] = await once(child, 'exit');
  return code;
}

describe.skipIf(whyNoPostgres() !== undefined)('the command line', () => {
  test('makes, lists and revokes tokens on the database', async () => {
    const env = { DATABASE_URL: await databaseForTest() };
    const created = await trainyard(['token', 'create', '--account', 'studio'], { env });
    expect([created.code, created.stdout]).toEqual([0, expect.stringMatching(/^ty_/)]);
    const listed = await trainyard(['token', 'list', '--database-url', env.DATABASE_URL]);
    expect(listed.stdout).toMatch(/active.*studio/);
    const id = /^([0-9a-f]{8}) /m.exec(listed.stdout)?.[1] ?? '';
    expect((await trainyard(['token', 'revoke', id], { env })).code).toBe(0);
    expect((await trainyard(['token', 'list'], { env })).stdout).toMatch(/revoked/);
  });

  test.each([
    ['that does not let it in', { password: 'wrong-secret' }, 78, 'password authentication failed'],
    ['that is not there', { port: '1', password: 'wrong-secret' }, 75, 'connect ECONNREFUSED'],
  ])('does not start with a database %s, and says so without the password', async (_, change, exitCode, reason) => {
    const url = Object.assign(new URL(await databaseForTest()), change);
    const { code, stderr, stdout } = await trainyard(['serve', '--port', '0'], { env: { DATABASE_URL: url.href } });
    expect(code).toBe(exitCode);
    expect(stderr).toMatch(new RegExp(`postgres://postgres@.* can't be used: ${reason}`));
    expect(stdout + stderr).not.toContain('wrong-secret');
  });

  test('reports a database that does not answer to a load balancer long before requests time out', async () => {
    const { url, proxy } = await proxiedForTest(await databaseForTest());
    const server = await startServer({}, { env: { DATABASE_URL: url } });
    onTestFinished(() => discardServer(server));
    const api = await server.api();
    expect((await api.list()).status).toBe(200);
    proxy.fallSilent();
    const listed = api.list().then(({ status }) => ['listed', status]);
    const ready = fetch(`${server.url}/readyz`).then(({ status }) => ['ready', status]);
    expect(await Promise.race([listed, ready])).toEqual(['ready', 503]);
    expect(await listed).toEqual(['listed', 503]);
  });
});

test.skipIf(whyNoPostgres() !== undefined)('closing releases all resources, so that the process ends', async () => {
  const url = await databaseForTest();
  const module = new URL('../../../src/storage/catalog/open-catalog.ts', import.meta.url).href;
  const source = `const { openCatalog } = await import(${JSON.stringify(module)});
    const metadata = await openCatalog({ databaseUrl: ${JSON.stringify(url)}, dataFolder: '', blobGrace: 0 });
    await metadata.catalog.ping();
    await metadata.close();`;
  expect(await endsByItself(source)).toBe(0);
});
