import { randomUUID } from 'node:crypto';
import { lstat, open, readFile, readlink, rm, utimes } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import { hasErrno, undefinedOn } from '../dataset/errors.js';

const POLL_MS = 50;
const HEARTBEAT_MS = 5000;

/** The holder has ended if it is silent for this long. */
const MAX_SILENCE_MS = 60_000;

/** The ids of the locks that this process has. */
const held = new Set<string>();

/** The path of a lock is not a file. */
export class LockObstructed extends Error {}

/**
 * Takes the lock at `path`: a file that its holder touches every 5 seconds, since an installed command has no SQLite.
 * The lock of an ended process is removed: at once on this machine, otherwise after a minute.
 *
 * @param options.onWaiting called once before it waits, with the pid of a holder on this machine
 * @returns releases the lock
 * @throws LockObstructed; the system's errors; the signal's reason while it waits
 */
export async function acquireLock(
  path: string,
  { signal, onWaiting }: { signal: AbortSignal; onWaiting?: ((pid: number | undefined) => void) | undefined },
): Promise<() => Promise<void>> {
  const id = randomUUID();
  const own = JSON.stringify({ id, pid: process.pid, machine: await machine() });
  // The holder's clock may differ, so only changes of its heartbeat count.
  let [seen, seenAt] = ['', 0];
  for (let isFirst = true; ; ) {
    if (await create(path, own)) break;
    const lock = await lockAt(path);
    if (lock === undefined) continue;
    if (lock.version !== seen) [seen, seenAt] = [lock.version, performance.now()];
    if (lock.hasEnded || performance.now() - seenAt > MAX_SILENCE_MS) await removeEnded(path, seen);
    else if (isFirst) {
      isFirst = false;
      onWaiting?.(lock.pid);
    }
    await wait(POLL_MS, undefined, { signal });
  }
  held.add(id);
  const heartbeat = setInterval(() => void utimes(path, new Date(), new Date()).catch(() => {}), HEARTBEAT_MS);
  return async () => {
    clearInterval(heartbeat);
    held.delete(id);
    if ((await textOf(path)) === own) await rm(path, { force: true });
  };
}

/** @returns false if the file exists */
async function create(path: string, text: string): Promise<boolean> {
  const handle = await open(path, 'wx').catch(undefinedOn('EEXIST'));
  if (handle === undefined) return false;
  await handle
    .writeFile(text)
    .finally(() => handle.close())
    .catch(async (error) => {
      await rm(path, { force: true });
      throw error;
    });
  return true;
}

/** The lock of another process; `undefined` if it was released. @throws LockObstructed */
async function lockAt(
  path: string,
): Promise<{ version: string; pid: number | undefined; hasEnded: boolean } | undefined> {
  const stats = await lstat(path).catch(() => undefined);
  if (stats === undefined) return undefined;
  if (!stats.isFile()) throw new LockObstructed(`${path} is in the way: it is not a file. Move it away.`);
  const text = await textOf(path);
  const version = `${stats.ino} ${stats.mtimeMs} ${text}`;
  const holder = /^\{"id":"(.*)","pid":(\d+),"machine":"(.*)"\}$/.exec(text ?? '');
  if (holder?.[3] !== (await machine())) return { version, pid: undefined, hasEnded: false };
  const pid = Number(holder[2]);
  const hasEnded = pid === process.pid ? !held.has(holder[1]!) : !isRunning(pid);
  return { version, pid, hasEnded };
}

/** Removes the lock of an ended process. The claim keeps two processes from removing a lock that is new meanwhile. */
async function removeEnded(path: string, version: string): Promise<void> {
  const claim = `${path}-claim`;
  if (!(await create(claim, ''))) {
    const stats = await lstat(claim).catch(() => undefined);
    if (stats !== undefined && Date.now() - stats.mtimeMs > MAX_SILENCE_MS) await rm(claim, { force: true });
    return;
  }
  if ((await lockAt(path))?.version === version) await rm(path, { force: true });
  await rm(claim, { force: true });
}

async function textOf(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch(undefinedOn('ENOENT'));
}

/** The host and the process namespace in which a pid is valid. */
async function machine(): Promise<string> {
  return `${hostname()} ${await readlink('/proc/self/ns/pid').catch(() => '')}`;
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return hasErrno(error, 'EPERM');
  }
}
