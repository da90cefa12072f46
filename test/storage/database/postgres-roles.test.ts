import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { installationSetting, openCatalog } from '../../../src/storage/catalog/open-catalog.js';
import { openPostgres } from '../../../src/storage/database/postgres.js';
import { whyNoPostgres } from '../../harness/available.js';
import { trainyard } from '../../harness/command.js';
import { databaseForTest, onDatabase } from '../../harness/postgres.js';
import { eventually, serverUntil } from '../../harness/server.js';

const mayCreate = async (role: string) => [`grant create on schema public to ${role}`];

/** A database, and its URL for a role of its own, which by default may create tables. */
async function databaseWithRole(grantsOf: typeof documentedGrants = mayCreate) {
  const url = await databaseForTest();
  const role = `role_${randomUUID().replaceAll('-', '')}`;
  await onDatabase(url, `create role ${role} login password 'own'`, ...(await grantsOf(role, url)));
  onTestFinished(async () => {
    await onDatabase(url, `drop owned by ${role}`, `drop role ${role}`);
  });
  const own = new URL(url);
  [own.username, own.password] = [role, 'own'];
  return { url, role, ownUrl: own.href };
}

/** The grants of `docs/scaling.md`, for one role, on the tables that another has made. */
async function documentedGrants(role: string, url: string): Promise<string[]> {
  await (await openPostgres(url)).close();
  const text = await readFile(new URL('../../../docs/scaling.md', import.meta.url), 'utf8');
  const block = /```sql\n(grant [\s\S]*?)```/.exec(text)?.[1];
  if (block === undefined) throw new Error('docs/scaling.md has no grants.');
  return block.replaceAll('trainyard', role).trim().split('\n');
}

describe.skipIf(whyNoPostgres() !== undefined)('the role of the service', () => {
  test('a database that is read-only is answered with 503 and the reason, also by /readyz, until it is the primary again', async () => {
    const { url, role, ownUrl } = await databaseWithRole();
    const server = await serverUntil(onTestFinished, {}, { env: { DATABASE_URL: ownUrl } });
    const api = await server.api();
    const id = await api.newDataset();
    const ready = async () => (await fetch(`${server.url}/readyz`)).status;
    const breakAll = `select pg_terminate_backend(pid) from pg_stat_activity where usename = '${role}'`;
    await onDatabase(url, `alter role ${role} set default_transaction_read_only = on`, breakAll);
    await eventually(async () => {
      const { status, body } = await api.upload(id, 'a.txt', 'a');
      return status === 503 && body.error_message?.includes('The database is read-only') ? true : undefined;
    });
    await eventually(async () => ((await ready()) === 503 ? true : undefined));
    expect((await api.status(id)).status).toBe(200);
    // The open connections stay read-only, as those to a server that became a standby.
    await onDatabase(url, `alter role ${role} reset default_transaction_read_only`);
    await eventually(async () => ((await ready()) === 200 ? true : undefined));
    await eventually(async () => ((await api.upload(id, 'a.txt', 'a')).status === 200 ? true : undefined));
    expect(server.output()).not.toMatch(/"status":500/);
  });

  test('a command that the database stops says so in one line', async () => {
    const { url, role, ownUrl } = await databaseWithRole();
    await (await openPostgres(ownUrl)).close();
    await onDatabase(url, `revoke select on token from ${role}`);
    const { code, stderr } = await trainyard(['token', 'list'], { env: { DATABASE_URL: ownUrl } });
    expect([code, stderr]).toEqual([78, "trainyard: the database can't be used: permission denied for table token\n"]);
  });

  test('a database that rejects a running server is answered with 503 and the reason, until it accepts it again', async () => {
    const { url, role, ownUrl } = await databaseWithRole();
    const database = new URL(url).pathname.slice(1);
    const maintenance = new URL(url);
    maintenance.pathname = 'postgres';
    const server = await serverUntil(onTestFinished, {}, { env: { DATABASE_URL: ownUrl } });
    const api = await server.api();
    const id = await api.newDataset();
    const rejections = [
      [`alter role ${role} password 'second'`, `alter role ${role} password 'own'`],
      [`alter database ${database} rename to ${role}`, `alter database ${role} rename to ${database}`],
    ] as const;
    for (const [reject, accept] of rejections) {
      const breakAll = `select pg_terminate_backend(pid) from pg_stat_activity where usename = '${role}'`;
      // Connections that are being opened keep a database from being renamed.
      await eventually(() => onDatabase(maintenance.href, breakAll, reject, breakAll).catch(() => undefined));
      await eventually(async () => {
        const answers = await Promise.all([api.status(id), api.upload(id, 'a.txt', 'a'), api.list()]);
        // A connection that is being ended may still answer.
        if (answers.some(({ status }) => status === 200)) return undefined;
        expect(answers.map(({ status }) => status)).toEqual([503, 503, 503]);
        for (const { headers } of answers) expect(headers.get('retry-after')).not.toBeNull();
        return answers.every(({ body }) => body.error_message?.includes('rejects the server')) ? true : undefined;
      });
      expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
      await onDatabase(maintenance.href, accept, breakAll);
      await eventually(async () => ((await api.upload(id, 'a.txt', reject)).status === 200 ? true : undefined));
    }
    await onDatabase(url, `revoke all on file from ${role}`);
    const { status, body } = await api.upload(id, 'a.txt', 'without a right');
    expect([status, body.error_message]).toEqual([503, expect.stringContaining('rejects the server')]);
    await onDatabase(url, `grant all on file to ${role}`);
    expect((await api.upload(id, 'a.txt', 'with it')).status).toBe(200);
    expect(server.process.exitCode).toBe(null);
    expect(server.output()).not.toMatch(/"status":500|nhandled/);
  });

  test('only the documented grants are needed after the first start', async () => {
    const { ownUrl: databaseUrl } = await databaseWithRole(documentedGrants);
    const opened = await openCatalog({ databaseUrl, dataFolder: '', blobGrace: 0 });
    const { catalog, accounts, database, close, now } = opened;
    try {
      const { token } = await accounts.createToken('tester', now());
      const accountId = (await accounts.grantOf(token))!.accountId;
      const key = { id: randomUUID(), accountId };
      await catalog.createDataset({ ...key, name: 'dogs', createdAt: now() });
      let isHeard = false;
      catalog.changes.onAnyChange((id) => {
        if (id === key.id) isHeard = true;
      });
      expect(await installationSetting(database, 'link-key', () => 'secret')).toBe('secret');
      expect(await catalog.deleteDataset(key, now())).toBe(true);
      expect([isHeard, await catalog.trash.due(now())]).toEqual([true, []]);
    } finally {
      await close();
    }
  });
});
