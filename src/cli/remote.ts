import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { WireDataset } from '../api/schemas.js';
import { TrainyardClient } from '../client/client.js';
import { hasErrno } from '../dataset/errors.js';
import { wholeNumber } from '../setting-values.js';
import { CommandError, EXIT } from './terminal/exit-codes.js';
import { errorMessage } from './terminal/text.js';

interface Remote {
  readonly url: string;
  readonly token: string;
}

/** The options of every command that calls a service. */
export interface RemoteOptions {
  readonly url?: string;
  readonly token?: string;
  readonly json?: boolean;
}

/** Adds `--url`, `--token` and `--json` to a command. */
export function addRemoteOptions(command: Command): Command {
  return command
    .option('--url <url>', 'the service (env: TRAINYARD_URL; default: saved by login)')
    .option('--token <token>', 'your token (env: TRAINYARD_TOKEN; default: saved by login)')
    .option('--json', 'print JSON for scripts');
}

/** The option `--concurrency`, the number of files that a command transfers at a time. */
export function concurrencyOption(help: string): Option {
  const parse = wholeNumber({ min: 1, max: 64 });
  return new Option('--concurrency <number>', help).argParser((text) => {
    try {
      return parse(text);
    } catch (error) {
      throw new InvalidArgumentError(`It ${(error as Error).message}.`);
    }
  });
}

/**
 * Finds the service and token to use. Flags win over the environment, and the environment wins over what `login` saved. A
 * saved token is sent only to the service that it was saved for.
 *
 * @throws CommandError with 78 if either is not set
 */
export function remoteFrom({ url, token }: RemoteOptions): Remote {
  const saved = readSaved();
  // An empty variable counts as not set, since a compose file can't remove a variable.
  const wanted = url ?? (process.env.TRAINYARD_URL || saved.url);
  const given = token ?? (process.env.TRAINYARD_TOKEN || undefined);
  const found = { url: wanted && serviceUrl(wanted), token: given ?? savedTokenFor(saved, wanted) };
  if (!found.url || !found.token) {
    const missing = found.url ? 'token' : 'service URL';
    const message = `no ${missing} is set. Run "trainyard login URL", or set TRAINYARD_URL and TRAINYARD_TOKEN.`;
    throw new CommandError(EXIT.configError, message);
  }
  return { url: found.url, token: found.token };
}

/** Normalizes the URL of a service. @throws CommandError with 78 if it is not an HTTP URL */
export function serviceUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    const message = `${JSON.stringify(text)} is not the URL of a service. Write it like http://127.0.0.1:8787.`;
    throw new CommandError(EXIT.configError, message);
  }
  return url.origin + url.pathname.replace(/\/+$/, '');
}

function savedTokenFor(saved: Partial<Remote>, url: string | undefined): string | undefined {
  if (url === undefined || saved.url === undefined) return undefined;
  return serviceUrl(url) === serviceUrl(saved.url) ? saved.token : undefined;
}

/** Makes a client of the service that the options and the environment name. */
export function clientFrom(options: RemoteOptions): TrainyardClient {
  const { url, token } = remoteFrom(options);
  return new TrainyardClient({ baseUrl: url, token });
}

/** Finds a dataset by name or ID. @throws CommandError with 66 if there is none */
export async function mustFind(client: TrainyardClient, nameOrId: string, signal?: AbortSignal): Promise<WireDataset> {
  const dataset = await client.find(nameOrId, { signal });
  if (dataset !== undefined) return dataset;
  throw new CommandError(EXIT.noInput, `there is no dataset "${nameOrId}". To list your datasets, run: trainyard ls`);
}

/** Saves a service and its token for later commands in a file that only its owner can read. @returns its path */
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
    throw new CommandError(EXIT.configError, `${path} can't be read: ${errorMessage(error)}`);
  }
}

function configPath(): string {
  return join(process.env.XDG_CONFIG_HOME || join(homedir(), '.config'), 'trainyard', 'config.json');
}
