import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { FolderInUse, lockFolder } from '../../folder-lock.js';
import type { ByteLimit } from '../blobs.js';
import { ByteBudget } from '../byte-budget.js';
import { ingestError, Meter, fileSink } from '../ingest.js';

const LOCK = 'in-use.lock';
const OPENING_LOCK = 'opening.lock';
const OPENING_ATTEMPTS = 400;
const OPENING_PAUSE_MS = 50;

/** A file of the spool, whole. It takes up room until it is removed. */
export interface SpoolFile {
  readonly path: string;
  readonly sizeBytes: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
  remove(): Promise<void>;
}

/**
 * A folder for bytes on their way into a store or out of one, of which there are never more than its limit. Several
 * processes of a machine may share it, each with files and a limit of its own.
 */
export class Spool {
  readonly #folder: string;
  readonly #room: ByteBudget;
  readonly #release: () => void;

  private constructor(folder: string, room: ByteBudget, release: () => void) {
    this.#folder = folder;
    this.#room = room;
    this.#release = release;
  }

  /** Opens the folder, makes it where it is missing, and removes what processes that are no more have left in it. */
  static async open(root: string, maxBytes: number): Promise<Spool> {
    await mkdir(root, { recursive: true, mode: 0o700 });
    const opening = await lockWhenFree(join(root, OPENING_LOCK));
    try {
      for (const entry of await readdir(root, { withFileTypes: true })) {
        if (entry.isDirectory()) await removeIfAbandoned(join(root, entry.name));
      }
      const folder = join(root, randomUUID());
      await mkdir(folder);
      const { release } = lockFolder(join(folder, LOCK));
      return new Spool(folder, new ByteBudget(maxBytes, 'for uploads on their way to the store'), release);
    } finally {
      opening.release();
    }
  }

  /** No file may be larger. */
  get maxBytes(): number {
    return this.#room.bytes;
  }

  /**
   * Writes a body to a file, once there is room for `atMostBytes`; until then it is not read.
   *
   * @throws ServiceError `too_large` with the limit's message, `upload_cut_short`, `no_space`, `unavailable` where there is
   * no room for long; the signal's reason. Nothing is kept then.
   */
  async receive(
    body: Readable,
    { limit, atMostBytes, signal }: { limit: ByteLimit; atMostBytes: number; signal: AbortSignal },
  ): Promise<SpoolFile> {
    // One that breaks off while it waits for its turn must not end the process.
    body.on('error', () => {});
    const share = await this.#room.acquire(atMostBytes, signal);
    const path = join(this.#folder, randomUUID());
    const remove = async () => {
      await rm(path, { force: true });
      share.shrinkTo(0);
    };
    try {
      const meter = new Meter(limit.bytes <= atMostBytes ? limit : { bytes: atMostBytes, message: limit.message });
      const handle = await open(path, 'wx', 0o600);
      try {
        await pipeline(body, meter, fileSink(handle), { signal });
      } finally {
        await handle.close();
      }
      share.shrinkTo(meter.bytes);
      return { path, sizeBytes: meter.bytes, sha256: meter.digest(), remove };
    } catch (error) {
      await remove();
      signal.throwIfAborted();
      throw ingestError(error);
    }
  }

  async close(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
    this.#release();
  }
}

/** The lock of a living process can't be had, wherever on the machine it runs. */
async function removeIfAbandoned(folder: string): Promise<void> {
  try {
    lockFolder(join(folder, LOCK)).release();
  } catch (error) {
    if (error instanceof FolderInUse) return;
    throw error;
  }
  await rm(folder, { recursive: true, force: true });
}

async function lockWhenFree(path: string): Promise<{ release: () => void }> {
  for (let attempt = 1; ; attempt++) {
    try {
      return lockFolder(path);
    } catch (error) {
      if (!(error instanceof FolderInUse) || attempt === OPENING_ATTEMPTS) throw error;
      await wait(OPENING_PAUSE_MS);
    }
  }
}
