import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { hasErrno } from '../dataset/errors.js';
import { makeFolders } from '../storage/folders.js';
import { CommandError, EXIT } from './terminal/exit-codes.js';
import { errorMessage } from './terminal/text.js';

export interface Remote {
  readonly url: string;
  readonly token: string;
}

const FILE = 'config.json';

/** Saves a service and its token. @returns the path */
export function saveRemote(remote: Remote): Promise<string> {
  return replaceOwnFile(FILE, `${JSON.stringify(remote, null, 2)}\n`);
}

/** @throws CommandError with 78 if the file can't be read */
export function readSaved(): Partial<Remote> {
  const path = ownPath(FILE);
  if (path === undefined) return {};
  try {
    const saved: Partial<Remote> = JSON.parse(readFileSync(path, 'utf8')) ?? {};
    const isText = (value: unknown) => value === undefined || typeof value === 'string';
    if (!isText(saved.url) || !isText(saved.token)) throw new Error('its URL or its token is not text');
    return saved;
  } catch (error) {
    if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return {};
    const message = `${path} can't be read: ${errorMessage(error)}. Remove it, and log in again.`;
    throw new CommandError(EXIT.configError, message);
  }
}

/** A file in `~/.config/trainyard`; `undefined` if this user has no home folder. */
export function ownPath(name: string): string | undefined {
  const { XDG_CONFIG_HOME, HOME } = process.env;
  if (XDG_CONFIG_HOME) return join(XDG_CONFIG_HOME, 'trainyard', name);
  try {
    const home = HOME || userInfo().homedir;
    return home === '' ? undefined : join(home, '.config', 'trainyard', name);
  } catch {
    // The system of a container need not know its user.
    return undefined;
  }
}

/** Replaces a file that only its owner can read, atomically and durably. @returns its path. @throws CommandError with 78 */
export async function replaceOwnFile(name: string, text: string): Promise<string> {
  const path = ownPath(name);
  if (path === undefined) {
    throw new CommandError(EXIT.configError, 'this user has no home folder. Set HOME or XDG_CONFIG_HOME');
  }
  await makeFolders(dirname(path), { mode: 0o700 });
  const temporary = `${path}.${randomUUID()}`;
  try {
    await writeFile(temporary, text, { flag: 'wx', mode: 0o600, flush: true });
    await rename(temporary, path);
    return path;
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** Unless another service is saved, or nothing can be. @returns whether it was saved */
export async function saveFirstLogin(remote: Remote): Promise<boolean> {
  try {
    const { url = remote.url } = readSaved();
    if (url === remote.url) await saveRemote(remote);
    return url === remote.url;
  } catch {
    return false;
  }
}
