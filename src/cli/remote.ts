import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import type { WireDataset } from '../api/schemas.js';
import { TrainyardClient } from '../client/client.js';
import { hasErrno } from '../dataset/errors.js';
import { CommandError, EXIT } from './terminal/exit-codes.js';

/** Where a service is, and the token for it. */
export interface Remote {
  readonly url: string;
  readonly token: string;
}

/** What every command that talks to a service understands. */
export interface RemoteOptions {
  readonly url?: string;
  readonly token?: string;
  readonly json?: boolean;
}

/** Gives a command `--url`, `--token` and `--json`. */
export function addRemoteOptions(command: Command): Command {
  return command
    .option('--url <url>', 'the service (env: TRAINYARD_URL, else what login has saved)')
    .option('--token <token>', 'your token (env: TRAINYARD_TOKEN, else what login has saved)')
    .option('--json', 'print JSON for scripts');
}

/**
 * The service and token to use: flags win over the environment, and that over what `login` has saved. A saved token is for
 * the service it was saved with, and is sent to no other.
 */
export function remoteFrom({ url, token }: RemoteOptions): Remote {
  const saved = readSaved();
  // An empty variable is how a compose file says that it leaves a setting alone.
  const wanted = url ?? (process.env.TRAINYARD_URL || saved.url);
  const given = token ?? (process.env.TRAINYARD_TOKEN || undefined);
  const found = { url: wanted && serviceUrl(wanted), token: given ?? savedTokenFor(saved, wanted) };
  if (!found.url || !found.token) {
    const missing = found.url ? 'token' : 'service';
    throw new CommandError(
      EXIT.configError,
      `no ${missing} is known. Run "trainyard login URL", or set TRAINYARD_URL and TRAINYARD_TOKEN.`,
    );
  }
  return { url: found.url, token: found.token };
}

/** The address of a service in one form, however it was written. @throws CommandError with 78 where it is none */
export function serviceUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    const message = `${JSON.stringify(text)} is no address of a service. Write it as in http://127.0.0.1:8787.`;
    throw new CommandError(EXIT.configError, message);
  }
  return url.origin + url.pathname.replace(/\/+$/, '');
}

function savedTokenFor(saved: Partial<Remote>, url: string | undefined): string | undefined {
  if (url === undefined || saved.url === undefined) return undefined;
  return serviceUrl(url) === serviceUrl(saved.url) ? saved.token : undefined;
}

/** A client of that service. */
export function clientFrom(options: RemoteOptions): TrainyardClient {
  const { url, token } = remoteFrom(options);
  return new TrainyardClient({ baseUrl: url, token });
}

/** The dataset of that name or id. @throws CommandError with 66 where there is none */
export async function mustFind(client: TrainyardClient, nameOrId: string, signal?: AbortSignal): Promise<WireDataset> {
  const dataset = await client.find(nameOrId, { signal });
  if (dataset !== undefined) return dataset;
  throw new CommandError(EXIT.noInput, `there is no dataset "${nameOrId}". "trainyard ls" shows them all.`);
}

/** Keeps a service and its token for later commands, readable by nobody else. Returns where. */
export function saveRemote(remote: Remote): string {
  const path = configPath();
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeFileSync(path, `${JSON.stringify(remote, null, 2)}\n`, { mode: 0o600 });
  return path;
}

function readSaved(): Partial<Remote> {
  const path = configPath();
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Partial<Remote>;
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return {};
    throw new CommandError(
      EXIT.configError,
      `${path} can't be read: ${error instanceof Error ? error.message : error}`,
    );
  }
}

function configPath(): string {
  return join(process.env.XDG_CONFIG_HOME || join(homedir(), '.config'), 'trainyard', 'config.json');
}
