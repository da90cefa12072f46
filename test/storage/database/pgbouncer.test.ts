import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type OpenCatalog, openCatalog } from '../../../src/storage/catalog/open-catalog.js';
import { whyNoPgBouncer } from '../../harness/available.js';
import { trainyard } from '../../harness/command.js';
import { freePort } from '../../harness/free-port.js';
import { databaseForTest } from '../../harness/postgres.js';
import { eventually, temporaryFolder } from '../../harness/server.js';

const IGNORED = 'ignore_startup_parameters = statement_timeout, idle_in_transaction_session_timeout';

/** Starts PgBouncer in front of a database. It ends with the test. @returns the URL of the database through it */
async function pgBouncerFor(database: string, settings: readonly string[]): Promise<string> {
  const folder = await temporaryFolder();
  const [url, port] = [new URL(database), await freePort()];
  const target = `host=${url.hostname} port=${url.port || 5432} user=${url.username} password=${url.password}`;
  const lines = [
    '[databases]',
    `* = ${target}`,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${port}`,
    'unix_socket_dir =',
    'auth_type = any',
    'default_pool_size = 40',
    ...settings,
  ];
  await writeFile(join(folder, 'pgbouncer.ini'), `${lines.join('\n')}\n`);
  await chmod(folder, 0o755);
  // It does not run as root.
  const user = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
  const bouncer: ChildProcess = spawn('/usr/sbin/pgbouncer', [join(folder, 'pgbouncer.ini')], {
    ...user,
    stdio: 'ignore',
  });
  onTestFinished(async () => {
    bouncer.kill('SIGKILL');
    if (bouncer.exitCode === null && bouncer.signalCode === null) await once(bouncer, 'exit');
    await rm(folder, { recursive: true });
  });
  await eventually(async () => {
    const socket = connect(port, '127.0.0.1');
    const isOpen = await once(socket, 'connect').then(
      () => true,
      () => undefined,
    );
    socket.destroy();
    return isOpen;
  });
  [url.hostname, url.port] = ['127.0.0.1', String(port)];
  return url.href;
}

async function open(databaseUrl: string, onWarning: (message: string) => void): Promise<OpenCatalog> {
  const opened = await openCatalog({ databaseUrl, dataFolder: '', blobGrace: 0 }, { onWarning });
  onTestFinished(opened.close);
  return opened;
}

describe.skipIf(whyNoPgBouncer() !== undefined)('PgBouncer', () => {
  test('that rejects the settings of connections is a configuration error that says what to set', async () => {
    const url = await pgBouncerFor(await databaseForTest(), ['pool_mode = session']);
    const { code, stderr } = await trainyard(['token', 'list'], { env: { DATABASE_URL: url } });
    expect([code, stderr]).toEqual([78, expect.stringContaining(IGNORED)]);
  });

  test('in transaction mode is reported as losing notifications, once, and what is missed is read again', async () => {
    const url = await pgBouncerFor(await databaseForTest(), ['pool_mode = transaction', IGNORED]);
    const warnings: string[] = [];
    const opened = await open(url, (message) => warnings.push(message));
    let gaps = 0;
    opened.catalog.changes.onAnyChange(
      () => {},
      () => gaps++,
    );
    await eventually(() => (gaps >= 1 ? true : undefined), 150_000);
    expect(warnings).toEqual([expect.stringMatching(/pool_mode = session/)]);
    await opened.catalog.ping();
  });
});
