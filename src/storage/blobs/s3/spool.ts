import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { withAnySignal, withTimeout } from '../../../abort-signals.js';
import { ServiceError } from '../../../dataset/errors.js';
import { makePrivateFolder } from '../../data-folder.js';
import { FairQueue, type Release } from '../../limits.js';
import { FolderInUse, lockFolder } from '../../folder-lock.js';
import { type FetchOptions, ingestError, type MeasuredBlob, Meter, writeStream } from '../blobs.js';

const LOCK = 'in-use.lock';

/** The suffix of a folder that is not locked yet. */
const NEW = '.new';

/** A request that waits longer is answered with 503, before its client gives up. */
const MAX_WAIT_MS = 90_000;

type SpoolOptions = FetchOptions & { readonly atMostBytes: number };

/** A folder of bounded size for files in flight. Processes share the root, each with a sub-folder and a limit of its own. */
export class Spool {
  /** Half of the spool, which one account may use, since its clients may be slow. */
  readonly maxFileBytes: number;
  readonly #folder: string;
  readonly #space: FairQueue;
  readonly #release: () => void;

  private constructor(folder: string, maxBytes: number, release: () => void) {
    this.#folder = folder;
    this.maxFileBytes = Math.floor(maxBytes / 2);
    this.#space = new FairQueue(maxBytes, { maxUnitsOfKey: this.maxFileBytes });
    this.#release = release;
  }

  /** Opens the spool, and deletes the folders of ended processes. */
  static async open(root: string, maxBytes: number): Promise<Spool> {
    await makePrivateFolder(root);
    for (const entry of await readdir(root, { withFileTypes: true })) {
      if (entry.isDirectory() && !entry.name.endsWith(NEW)) await removeIfAbandoned(join(root, entry.name));
    }
    // Another process that opens its spool meanwhile must not remove the folder as abandoned.
    const folder = join(root, randomUUID());
    await mkdir(`${folder}${NEW}`);
    const { release } = lockFolder(join(`${folder}${NEW}`, LOCK));
    await rename(`${folder}${NEW}`, folder);
    return new Spool(folder, maxBytes, release);
  }

  /**
   * Writes a body to a file. Waits for `atMostBytes` of space before it reads the body; `discard` releases the space.
   *
   * @throws ServiceError `too_large`, `upload_cut_short`, `no_space`, `unavailable` after 90 seconds; the signal's reason
   */
  async receive(body: Readable, options: SpoolOptions): Promise<MeasuredBlob> {
    const { limit, atMostBytes, signal } = options;
    // Without a listener, an error of the body during the wait would end the process.
    body.on('error', () => {});
    const release = await this.#spaceFor(options);
    const path = join(this.#folder, randomUUID());
    const discard = async () => {
      await rm(path, { force: true }).finally(release);
    };
    try {
      const meter = new Meter(limit.bytes <= atMostBytes ? limit : { bytes: atMostBytes, message: limit.message });
      const handle = await open(path, 'wx', 0o600);
      try {
        await writeStream(body, handle, { meter, signal });
      } finally {
        await handle.close();
      }
      release(atMostBytes - meter.bytes);
      return { ...meter.facts(), path, discard };
    } catch (error) {
      await discard();
      signal.throwIfAborted();
      throw ingestError(error);
    }
  }

  async #spaceFor({ atMostBytes: units, accountId = '', signal }: SpoolOptions): Promise<Release> {
    if (units > this.maxFileBytes) {
      const message = `A bucket takes files of at most ${this.maxFileBytes} bytes, and this one may have ${units}.`;
      throw new ServiceError('no_space', message);
    }
    const acquire = (ending: AbortSignal) => this.#space.acquire(accountId, { units, signal: ending });
    // A copy by the operator waits for its uploads.
    if (accountId === '') return acquire(signal);
    return withTimeout(MAX_WAIT_MS, (timeout) => withAnySignal([signal, timeout], acquire)).catch((error) => {
      signal.throwIfAborted();
      if (error?.name !== 'TimeoutError') throw error;
      const message = 'The server has no spool space left for this upload right now. Try again soon.';
      throw new ServiceError('unavailable', message);
    });
  }

  async close(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
    this.#release();
  }
}

/** Removes the folder of an ended process. */
async function removeIfAbandoned(folder: string): Promise<void> {
  try {
    lockFolder(join(folder, LOCK)).release();
  } catch (error) {
    if (error instanceof FolderInUse) return;
    throw error;
  }
  await rm(folder, { recursive: true, force: true });
}
