import { sql } from 'kysely';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { PendingFile } from '../../../src/dataset/dataset.js';
import { reserve } from '../../../src/dataset/upload-transitions.js';
import { type OpenCatalog, openCatalog } from '../../../src/storage/catalog/open-catalog.js';
import { inSnapshot } from '../../../src/storage/catalog/rows.js';
import { databaseError, query } from '../../../src/storage/database/database.js';
import { openPostgres } from '../../../src/storage/database/postgres.js';
import { whyNoPostgres } from '../../harness/available.js';
import { trainyard } from '../../harness/command.js';
import { databaseForTest, onDatabase, proxiedForTest } from '../../harness/postgres.js';
import { eventually, serverUntil } from '../../harness/server.js';
import { linkNamed } from '../../harness/stored-image.js';

async function open(url: string): Promise<OpenCatalog> {
  const opened = await openCatalog({ databaseUrl: url, dataFolder: '', blobGrace: 0 });
  onTestFinished(opened.close);
  return opened;
}

let ids = 0;
async function newDataset({ catalog, accounts, now }: OpenCatalog) {
  const { token } = await accounts.createToken('tester', now());
  const accountId = (await accounts.grantOf(token))!.accountId;
  const id = `dataset-${++ids}`;
  await catalog.createDataset({ id, accountId, name: id, createdAt: now() });
  return { accountId, id, token };
}

function reserveFile({ catalog }: OpenCatalog, file: PendingFile) {
  const change = { datasetId: file.datasetId, filenames: [file.filename], now: 5, isActivity: true };
  return catalog.change(change, (group) => reserve(group, file));
}

describe.skipIf(whyNoPostgres() !== undefined)('on Postgres', () => {
  test('concurrent changes through several pools are all counted, and only one dataset of a name is created', async () => {
    const url = await databaseForTest();
    const [one, two] = [await open(url), await open(url)];
    const { accountId, id } = await newDataset(one);
    // The second reservation of a name replaces the first.
    const files = Array.from({ length: 60 }, (_, i) => linkNamed(id, `${i % 30}.txt`, 1000 + i));
    await Promise.all(files.map((file, i) => reserveFile(i % 2 ? one : two, file)));
    expect((await one.catalog.dataset({ accountId, id }))?.counts.pending).toBe(30);
    expect(await two.catalog.files(id)).toHaveLength(30);

    const named = Array.from({ length: 10 }, (_, i) => ({ id: `race-${i}`, accountId, name: 'race', createdAt: i }));
    const outcomes = await Promise.allSettled(
      named.map((dataset, i) => [one, two][i % 2]!.catalog.createDataset(dataset)),
    );
    const losers = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason.code] : []));
    expect(losers).toEqual(Array(9).fill('name_taken'));
  });

  test('a transaction is durable once it is answered, unless it need not be', async () => {
    const database = await openPostgres(await databaseForTest());
    onTestFinished(() => database.close());
    const setting = sql<{ level: string }>`select current_setting('synchronous_commit') as level`;
    const levelOf = (isDurable: boolean) => database.transact({ isDurable }, ({ commit }) => commit([setting]));
    expect([await levelOf(true), await levelOf(false)]).toEqual([[[{ level: 'on' }]], [[{ level: 'off' }]]]);
  });

  test('the time is that of the database, also if the clock of this machine is an hour off', async () => {
    const databaseUrl = await databaseForTest();
    const localClock = () => Date.now() * 1000 - 3_600_000_000;
    const { now, close } = await openCatalog({ databaseUrl, dataFolder: '', blobGrace: 0 }, { localClock });
    onTestFinished(close);
    expect(Math.abs(now() / 1000 - Date.now())).toBeLessThan(600_000);
  });

  test('a transaction that fails because of a deadlock is retried', async () => {
    const url = await databaseForTest();
    const opened = await open(url);
    const dataset = await newDataset(opened);
    await reserveFile(opened, linkNamed(dataset.id, 'a.txt', 1000));
    // The first two writes to the dataset fail as the victims of a deadlock.
    await onDatabase(
      url,
      'create sequence attempts',
      `create function fail_twice() returns trigger language plpgsql as $$ begin
         if nextval('attempts') < 3 then raise exception 'deadlock detected' using errcode = '40P01'; end if;
         return new;
       end $$`,
      'create trigger fail_twice before update on dataset for each row execute function fail_twice()',
    );
    await reserveFile(opened, linkNamed(dataset.id, 'b.txt', 1000));
    expect((await opened.catalog.dataset(dataset))?.counts.pending).toBe(2);
  });

  test('other processes are notified of changes, also of those made while the connection was broken', async () => {
    const direct = await databaseForTest();
    const { url, proxy } = await proxiedForTest(direct);
    const [local, remote] = [await open(url), await open(direct)];
    const dataset = await newDataset(remote);
    let [calls, gaps] = [0, 0];
    local.catalog.changes.onAnyChange(
      (id) => {
        if (id === dataset.id) calls++;
      },
      () => gaps++,
    );
    // An instance begins to listen some time after its start.
    await eventually(async () => {
      await reserveFile(remote, linkNamed(dataset.id, 'a.txt', 1000));
      return calls > 0 || undefined;
    });

    gaps = 0;
    proxy.breakAll();
    await eventually(() => gaps > 0 || undefined);
    calls = 0;
    await reserveFile(remote, linkNamed(dataset.id, 'b.txt', 1000));
    await eventually(() => calls === 1 || undefined);
  });
});

describe.skipIf(whyNoPostgres() !== undefined)('a Postgres that fails', () => {
  test('is reported with a code of its own, and its reason', async () => {
    const url = await databaseForTest();
    const opened = await open(url);
    const dataset = await newDataset(opened);
    const codes = Object.entries({
      ...{ '57P01': 'unavailable', '53300': 'unavailable', '25006': 'unavailable', '57014': 'unavailable' },
      ...{ '53100': 'no_space' },
    });
    for (const [state, code] of codes) {
      await onDatabase(
        url,
        `create or replace function refuse() returns trigger language plpgsql as $$ begin
           raise exception 'refused' using errcode = '${state}';
         end $$`,
        'create or replace trigger refuse before update on dataset for each row execute function refuse()',
      );
      const error = await reserveFile(opened, linkNamed(dataset.id, 'a.txt', 1000)).catch((thrown) => thrown);
      expect([state, databaseError(error)?.code]).toEqual([state, code]);
    }
    expect((await opened.catalog.files(dataset.id)).length).toBe(0);
  });
});

describe.skipIf(whyNoPostgres() !== undefined)('the command line', () => {
  test.each([
    ['that rejects its password', { password: 'wrong-secret' }, 78, 'password authentication failed'],
    ['that does not run', { port: '1', password: 'wrong-secret' }, 75, 'connect ECONNREFUSED'],
  ])('does not start with a database %s, and reports it without the password', async (_, change, exitCode, reason) => {
    const url = Object.assign(new URL(await databaseForTest()), change);
    const { code, stderr, stdout } = await trainyard(['serve', '--port', '0'], { env: { DATABASE_URL: url.href } });
    expect(code).toBe(exitCode);
    expect(stderr).toMatch(new RegExp(`postgres://postgres@.* can't be used: ${reason}`));
    expect(stdout + stderr).not.toContain('wrong-secret');
  });

  test('of a database that does not answer, /readyz and /metrics answer long before requests time out', async () => {
    const { url, proxy } = await proxiedForTest(await databaseForTest());
    const server = await serverUntil(onTestFinished, { 'stop-seconds': 1 }, { env: { DATABASE_URL: url } });
    const api = await server.api();
    expect((await api.list()).status).toBe(200);
    proxy.fallSilent();
    const listed = api.list().then(({ status }) => ['listed', status]);
    const statuses = ['/readyz', '/metrics'].map(async (path) => (await fetch(server.url + path)).status);
    expect(await Promise.race([listed, Promise.all(statuses)])).toEqual([503, 200]);
    await server.stop('SIGKILL');
    await listed.catch(() => {});
  });
});

test.skipIf(whyNoPostgres() !== undefined)(
  'a snapshot of a catalog may take longer than requests to Postgres',
  async () => {
    const url = await databaseForTest();
    const database = await openPostgres(url, { readMs: 200, transactionMs: 200 });
    const blocking = await openPostgres(url);
    onTestFinished(() => Promise.all([database.close(), blocking.close()]).then(() => {}));
    const count = query.selectFrom('file').select(({ fn }) => fn.countAll<number>().as('files'));
    const { snapshot } = await blocking.transact({ isDurable: false }, async ({ send }) => {
      await send([sql`lock table file`]);
      const snapshot = Promise.allSettled([inSnapshot(database, (run) => run(count))]);
      // Its deadline ends after the one that the snapshot would have.
      await expect(database.run(count)).rejects.toMatchObject({ code: 'unavailable' });
      return { snapshot };
    });
    expect(await snapshot).toEqual([{ status: 'fulfilled', value: [{ files: 0 }] }]);
  },
);
