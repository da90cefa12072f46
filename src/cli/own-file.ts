import { randomUUID } from 'node:crypto';
import { readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** Another process may be writing one that is newer. */
const ABANDONED_AFTER_MS = 60_000;

/**
 * Replaces a file that only its owner can read, atomically and durably. Removes what earlier calls left whose processes were
 * killed, since it may contain a token.
 */
export async function replaceOwnFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.${randomUUID()}`;
  try {
    await writeFile(temporary, text, { flag: 'wx', mode: 0o600, flush: true });
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await removeAbandoned(path).catch(() => {});
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

async function removeAbandoned(path: string): Promise<void> {
  const prefix = `${basename(path)}.`;
  for (const name of await readdir(dirname(path))) {
    if (!name.startsWith(prefix) || !UUID.test(name.slice(prefix.length))) continue;
    const abandoned = join(dirname(path), name);
    if ((await stat(abandoned)).mtimeMs < Date.now() - ABANDONED_AFTER_MS) await rm(abandoned);
  }
}
