import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openCatalog } from '../../src/storage/catalog/open-catalog.js';
import type { WireDatasetWithFiles } from '../../src/api/schemas.js';
import { Api } from './api.js';
import { HANGS_AFTER_MS } from './hangs-after.js';
import type { World } from './world.js';

/** The built command, as `npm start` runs it. */
export const COMMAND = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** The flags that `npm start` gives Node. */
export const NODE_FLAGS: readonly string[] = startScript().match(/--\S+(?= .*dist)/g) ?? [];

/** The environment that `npm start` gives it. */
const NODE_ENVIRONMENT = Object.fromEntries(
  startScript()
    .match(/\b[A-Z_]+=\S+/g)
    ?.map((pair) => pair.split('=')) ?? [],
);

function startScript(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { scripts: { start: string } }).scripts.start;
}

export interface TestServer {
  readonly url: string;
  readonly dataFolder: string;
  readonly process: ChildProcess;
  /** All that the process has printed so far. */
  readonly output: () => string;
  /** A client with a new token of the account, which is created where it is missing. */
  readonly api: (account?: string) => Promise<Api>;
  /** Sends a signal and returns the exit code, `null` for a process that was killed. */
  readonly stop: (signal?: NodeJS.Signals) => Promise<number | null>;
}

/** Where a server runs: a prefix of its command, and the address it listens on. */
export interface Host {
  readonly command: readonly string[];
  readonly address: string;
}

/** Settings of a server that keeps no earlier revisions, so that replaced and removed files are deleted. */
export const NO_HISTORY = { 'history-days': 0 } as const;

/** A new folder below the system's temporary folder. */
export function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'trainyard-test-'));
}

/**
 * Starts the real server as a process on a free port, and returns once it listens.
 *
 * @param settings flags as `{ 'link-seconds': 1 }`
 * @param options.within where it runs, by default on this machine
 */
export async function startServer(
  settings: Record<string, string | number> = {},
  options: { dataFolder?: string; env?: Readonly<Record<string, string>>; within?: Host; cwd?: string } = {},
): Promise<TestServer> {
  const { command: before, address } = options.within ?? { command: [], address: '127.0.0.1' };
  const dataFolder = options.dataFolder ?? (await temporaryFolder());
  const env = { ...(await worldOf(dataFolder)).env, ...options.env };
  const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
  const serve = [COMMAND, 'serve', '--host', address, '--port', '0', '--data', dataFolder, ...flags];
  const [program = '', ...args] = [...before, process.execPath, ...NODE_FLAGS, ...serve];
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: options.cwd,
    // A first start must not sign in the person who runs the tests. The service has no use of the time zone of its machine.
    env: { ...process.env, TZ: 'Asia/Kolkata', XDG_CONFIG_HOME: '/dev/null', ...NODE_ENVIRONMENT, ...env },
  });
  let output = '';
  const exited = once(child, 'exit');
  const listening = new Promise<string>((resolve, reject) => {
    const read = (chunk: Buffer) => {
      output += chunk;
      const port = loggedPort(output);
      if (port !== undefined && output.includes('documentation at')) resolve(port);
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    exited.then(() => reject(new Error(`the server ended before it listened:\n${output}`)));
  });
  const url = `http://${address}:${await listening}`;
  return {
    url,
    dataFolder,
    process: child,
    output: () => output,
    api: async (account = 'default') => new Api(url, await newToken(dataFolder, account, env)),
    stop: async (signal = 'SIGTERM') => {
      child.kill(signal);
      await exited;
      return child.exitCode;
    },
  };
}

/** Starts a server that is discarded after the test or the file. @param after `onTestFinished`, `afterAll` */
export async function serverUntil(after: (end: () => Promise<void>) => void, ...of: Parameters<typeof startServer>) {
  const server = await startServer(...of);
  after(() => discardServer(server));
  return server;
}

/** The port that a server has logged; `undefined` until that was read, which may be later than what it writes to its other pipe. */
export function loggedPort(log: string): string | undefined {
  return /Server listening at http:\/\/[^"]*:(\d+)/.exec(log)?.[1];
}

/** The database and bucket of the servers on a data folder, as long as the folder exists. */
const worlds = new Map<string, Promise<World>>();

/** The default server needs only its folder; `vitest.config.ts` names another combination in the environment. */
function worldOf(dataFolder: string): Promise<World> {
  const combination = process.env.TRAINYARD_TEST_COMBINATION;
  if (combination === undefined) return Promise.resolve({ env: {}, discard: async () => {} });
  const world = worlds.get(dataFolder) ?? import('./world.js').then(({ newWorld }) => newWorld(combination));
  worlds.set(dataFolder, world);
  return world;
}

/** The variables of the servers on a data folder: their database and bucket. */
export async function environmentOf(dataFolder: string): Promise<Readonly<Record<string, string>>> {
  return (await worldOf(dataFolder)).env;
}

/** Creates a token as `trainyard token create` does, beside the running server. */
export async function newToken(dataFolder: string, account: string, env: Record<string, string> = {}): Promise<string> {
  const metadata = await openCatalog({ dataFolder, blobGrace: 0, databaseUrl: env.DATABASE_URL });
  try {
    return (await metadata.accounts.createToken(account, metadata.now())).token;
  } finally {
    await metadata.close();
  }
}

/** Revokes a token as `trainyard token revoke` does, beside the running server. */
export async function revokeToken(server: Pick<TestServer, 'dataFolder'>, token: string): Promise<void> {
  const { env } = await worldOf(server.dataFolder);
  const opened = await openCatalog({ dataFolder: server.dataFolder, blobGrace: 0, databaseUrl: env.DATABASE_URL });
  try {
    const found = (await opened.accounts.tokens()).find(({ hint }) => token.startsWith(hint));
    await opened.accounts.revokeToken(found?.id ?? '', opened.now());
  } finally {
    await opened.close();
  }
}

/** Stops the server and removes its data. */
export async function discardServer(server: TestServer | undefined): Promise<void> {
  if (server === undefined) return;
  if (server.process.exitCode === null && server.process.signalCode === null) await server.stop();
  await rm(server.dataFolder, { recursive: true, force: true });
  await (await worldOf(server.dataFolder)).discard();
  worlds.delete(server.dataFolder);
}

/** Polls until the answer is not `undefined`. @throws Error after `timeoutMs` */
export async function eventually<T>(
  look: () => Promise<T | undefined> | T | undefined,
  timeoutMs = HANGS_AFTER_MS,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`nothing after ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The status of a dataset once all its uploads are checked, by polling as any client of the API does. */
export function checked(api: Api, id: string): Promise<WireDatasetWithFiles> {
  return eventually(async () => {
    const { body } = await api.status(id);
    return body.status === 'UPLOADING' ? undefined : body;
  });
}
