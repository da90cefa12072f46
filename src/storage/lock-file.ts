import { randomUUID } from 'node:crypto';
import type { Stats } from 'node:fs';
import { lstat, open, readFile, readlink, rm, utimes } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { hasErrno } from '../dataset/errors.js';
import { bootId } from './boot-id.js';

const POLL_MS = 50;
const HEARTBEAT_MS = 5000;

/** A lock of another machine or container without a heartbeat for this long belongs to a process that has ended. */
const MAX_SILENCE_MS = 60_000;

/** A claim on an abandoned lock is held for as long as one file is read and removed. */
const MAX_CLAIM_MS = 60_000;

/** The content of a lock file. */
interface LockHolder {
  readonly id: string;
  readonly pid: number;
  /** When the process started, in ticks of the kernel; null outside Linux. */
  readonly started: string | null;
  /** Where the pid is valid: a boot of a kernel, and a namespace of its processes; null outside Linux. */
  readonly machine: string | null;
}

/** The locks that this process has, by their ids. */
const held = new Set<string>();

/** Something else than a file has the name of a lock. */
export class LockObstructed extends Error {}

/**
 * Takes the lock at `path`, and waits while another process has it. The lock is a file that names its process, since a command
 * that is installed from a service has neither SQLite nor another lock of the kernel. One of a process that has ended is removed,
 * and so is one of this process that it could not remove when it released it.
 *
 * @param options.onWaiting called once, before it waits; with the process that has the lock, if that is of this machine
 * @returns releases the lock
 * @throws LockObstructed; the system's errors; the signal's reason while it waits
 */
export async function acquireLock(
  path: string,
  { signal, onWaiting }: { signal: AbortSignal; onWaiting?: ((pid: number | undefined) => void) | undefined },
): Promise<() => Promise<void>> {
  const observed = new ObservedLock(path);
  for (let isFirst = true; ; ) {
    const release = await tryToAcquire(path);
    if (release !== undefined) return release;
    const { abandoned, pid } = await observed.look();
    if (abandoned !== undefined && (await removeLock(path, abandoned))) continue;
    if (isFirst) onWaiting?.(pid);
    isFirst = false;
    await wait(POLL_MS, undefined, { signal });
  }
}

/** @returns releases the lock; `undefined` if another process has it */
async function tryToAcquire(path: string): Promise<(() => Promise<void>) | undefined> {
  const holder: LockHolder = {
    id: randomUUID(),
    pid: process.pid,
    started: await startOf(process.pid),
    machine: await machine(),
  };
  const text = JSON.stringify(holder);
  const handle = await open(path, 'wx').catch((error) => {
    if (hasErrno(error, 'EEXIST')) return undefined;
    throw error;
  });
  if (handle === undefined) return undefined;
  held.add(holder.id);
  try {
    await handle.writeFile(text).finally(() => handle.close());
  } catch (error) {
    held.delete(holder.id);
    await rm(path, { force: true });
    throw error;
  }
  const heartbeat = setInterval(() => void utimes(path, new Date(), new Date()).catch(() => {}), HEARTBEAT_MS);
  return async () => {
    clearInterval(heartbeat);
    held.delete(holder.id);
    if ((await textOf(path)) === text) await rm(path, { force: true });
  };
}

/** The lock of another process, as often as this one looks at it. */
class ObservedLock {
  readonly #path: string;
  #version = '';
  #changedAt = performance.now();

  constructor(path: string) {
    this.#path = path;
  }

  /** @returns the version of the lock if its process has ended, or that process. @throws LockObstructed */
  async look(): Promise<{ abandoned?: string; pid?: number }> {
    const stats = await lstat(this.#path).catch(() => undefined);
    if (stats === undefined) return {};
    if (!stats.isFile()) throw new LockObstructed(`${this.#path} is in the way: it is not a file. Move it away.`);
    const text = await textOf(this.#path);
    if (text === undefined) return {};
    const version = versionOf(stats, text);
    if (version !== this.#version) [this.#version, this.#changedAt] = [version, performance.now()];
    const holder = holderIn(text);
    const isHere = holder?.machine != null && holder.machine === (await machine());
    if (!isHere) return performance.now() - this.#changedAt > MAX_SILENCE_MS ? { abandoned: version } : {};
    return (await hasEnded(holder)) ? { abandoned: version } : { pid: holder.pid };
  }
}

/**
 * Removes an abandoned lock. The claim, a second file, lets only one process do so at a time: the lock may have been removed
 * meanwhile, and then the one that is there belongs to another process.
 *
 * @returns whether this process had the claim
 */
async function removeLock(path: string, abandoned: string): Promise<boolean> {
  const claim = `${path}-claim`;
  try {
    await (await open(claim, 'wx')).close();
  } catch (error) {
    if (!hasErrno(error, 'EEXIST')) throw error;
    const stats = await lstat(claim).catch(() => undefined);
    if (stats !== undefined && Date.now() - stats.mtimeMs > MAX_CLAIM_MS) await rm(claim, { force: true });
    return false;
  }
  try {
    const [stats, text] = [await lstat(path).catch(() => undefined), await textOf(path)];
    if (stats !== undefined && text !== undefined && versionOf(stats, text) === abandoned)
      await rm(path, { force: true });
  } finally {
    await rm(claim, { force: true });
  }
  return true;
}

function versionOf({ ino, mtimeMs }: Stats, text: string): string {
  return `${ino} ${mtimeMs} ${text}`;
}

/** `undefined` if there is no such file. */
async function textOf(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch((error) => {
    if (hasErrno(error, 'ENOENT')) return undefined;
    throw error;
  });
}

/** `undefined` for a lock that is being written. */
function holderIn(text: string): LockHolder | undefined {
  try {
    return JSON.parse(text) as LockHolder;
  } catch {
    return undefined;
  }
}

async function machine(): Promise<string | null> {
  const [boot, namespace] = [await bootId(), await readlink('/proc/self/ns/pid').catch(() => null)];
  return boot === null || namespace === null ? null : `${boot} ${namespace}`;
}

/** Whether a process of this machine has ended, or has released its lock. Where /proc hides others' processes, a signal tells. */
async function hasEnded({ id, pid, started }: LockHolder): Promise<boolean> {
  const now = await startOf(pid);
  if (pid === process.pid && now === started) return !held.has(id);
  return now === null ? !isRunning(pid) : now !== started;
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return hasErrno(error, 'EPERM');
  }
}

/** When a process started; null if it has ended, or the system does not tell. */
async function startOf(pid: number): Promise<string | null> {
  const stat = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => undefined);
  // Field 22 (proc(5)). The name of the program, field 2, is in parentheses and may contain anything.
  return stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
}
