import { randomUUID } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { whyNoPostgres } from '../../harness/available.js';
import { databaseForTest, onDatabase } from '../../harness/postgres.js';
import { discardServer, eventually, startServer } from '../../harness/server.js';

test.skipIf(whyNoPostgres() !== undefined)(
  'a database that rejects a running server is answered with 503 and the reason, until it accepts it again',
  async () => {
    const url = await databaseForTest();
    const database = new URL(url).pathname.slice(1);
    const maintenance = new URL(url);
    maintenance.pathname = 'postgres';
    const role = `rejected_${randomUUID().replaceAll('-', '')}`;
    await onDatabase(url, `create role ${role} login password 'first'`, `grant create on schema public to ${role}`);
    const own = new URL(url);
    [own.username, own.password] = [role, 'first'];
    const server = await startServer({}, { env: { DATABASE_URL: own.href } });
    onTestFinished(async () => {
      await discardServer(server);
      await onDatabase(url, `drop owned by ${role}`, `drop role ${role}`);
    });
    const api = await server.api();
    const id = await api.newDataset();
    const rejections = [
      [`alter role ${role} password 'second'`, `alter role ${role} password 'first'`],
      [`alter role ${role} nologin`, `alter role ${role} login`],
      [`alter database ${database} allow_connections false`, `alter database ${database} allow_connections true`],
      [`alter database ${database} rename to ${role}`, `alter database ${role} rename to ${database}`],
    ] as const;
    for (const [reject, accept] of rejections) {
      const breakAll = `select pg_terminate_backend(pid) from pg_stat_activity where usename = '${role}'`;
      // Connections that are being opened keep a database from being renamed.
      await eventually(() => onDatabase(maintenance.href, breakAll, reject, breakAll).catch(() => undefined));
      const messages = await eventually(async () => {
        const answers = await Promise.all([api.status(id), api.upload(id, 'a.txt', 'a'), api.list()]);
        expect(answers.map(({ status }) => status)).toEqual([503, 503, 503]);
        for (const { headers } of answers) expect(headers.get('retry-after')).not.toBeNull();
        const texts = answers.map(({ body }) => body.error_message ?? '');
        return texts.every((text) => text.includes('rejects the server')) ? texts : undefined;
      });
      expect(messages).toHaveLength(3);
      expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
      await onDatabase(maintenance.href, accept);
      await eventually(async () => ((await api.upload(id, 'a.txt', reject)).status === 200 ? true : undefined));
    }
    await onDatabase(url, `revoke all on file from ${role}`);
    const { status, body } = await api.upload(id, 'a.txt', 'without a right');
    expect([status, body.error_message]).toEqual([503, expect.stringContaining('rejects the server')]);
    await onDatabase(url, `grant all on file to ${role}`);
    expect((await api.upload(id, 'a.txt', 'with it')).status).toBe(200);
    expect(server.process.exitCode).toBe(null);
    expect(server.output()).not.toMatch(/"status":500|nhandled/);
  },
);
