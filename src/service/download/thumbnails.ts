import { Readable } from 'node:stream';
import type { StoredFile } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import { BlobChanged, blobKeyOf } from '../../storage/blobs/blobs.js';
import { FairQueue } from '../../storage/fair-queue.js';
import { fetchIntact } from '../check/fetch-intact.js';
import { fileNotFound } from '../datasets.js';
import type { ServiceDependencies } from '../dependencies.js';

/** Makes a WebP thumbnail of the image at `path`, for this account. Rejects if the image can't be decoded. */
type Thumbnailer = (image: { path: string; sizeBytes: number }, options: { accountId: string }) => Promise<Buffer>;

/** A stored thumbnail of more bytes is damaged. That of an image of noise with transparency has 174 kB. */
const MAX_BYTES = 512 * 1024;

/** A thumbnail that is being made, or waits for it. */
interface Making {
  /** The thumbnail, once it is stored. */
  readonly stored: Promise<Buffer>;
  /** Aborted when no request waits for a thumbnail that has not begun. */
  readonly abandoned: AbortController;
  requests: number;
  hasBegun: boolean;
}

/** The key of a blob's thumbnail. Cleanup deletes it with the blob. */
export function thumbnailKeyOf(blobKey: string): string {
  return `${blobKey}.thumbnail`;
}

/** Reads the thumbnails of stored images, and makes them on first use: a few at a time, shared fairly between accounts. */
export class Thumbnails {
  readonly #dependencies: ServiceDependencies;
  readonly #make: Thumbnailer;
  readonly #slots: FairQueue;
  readonly #inFlight = new Map<string, Making>();

  /** @param options.atOnce how many are made at once; with a bucket, each has a copy of its image in the spool */
  constructor(dependencies: ServiceDependencies, { make, atOnce }: { make: Thumbnailer; atOnce: number }) {
    this.#dependencies = dependencies;
    this.#make = make;
    this.#slots = new FairQueue(atOnce);
  }

  /**
   * Returns the WebP thumbnail of an image. A stored one that is damaged is made again and replaced. Once it has begun to make
   * one, it goes on when the signal is aborted.
   *
   * @throws ServiceError `thumbnail_unavailable`, `bytes_replaced`, `file_not_found`; the signal's reason
   */
  async read(file: StoredFile, { accountId, signal }: { accountId: string; signal: AbortSignal }): Promise<Buffer> {
    const key = thumbnailKeyOf(blobKeyOf(file));
    const existing = await this.#stored(key, signal);
    if (existing !== undefined && isWhole(existing)) return existing;
    signal.throwIfAborted();
    let making = this.#inFlight.get(key);
    if (making === undefined || making.abandoned.signal.aborted) {
      making = this.#begin(file, { key, accountId, replaces: existing !== undefined });
    }
    const thumbnail = await waitFor(making, signal);
    signal.throwIfAborted();
    return thumbnail;
  }

  /** Reads what is stored under a key until it is too long for a thumbnail. Returns no bytes of what the store has damaged. */
  async #stored(key: string, signal: AbortSignal): Promise<Buffer | undefined> {
    const chunks: Buffer[] = [];
    let bytes = 0;
    try {
      const body = await this.#dependencies.blobs.read(key, { signal });
      if (body === undefined) return undefined;
      for await (const chunk of body) {
        chunks.push(chunk);
        bytes += chunk.length;
        if (bytes > MAX_BYTES) break;
      }
    } catch (error) {
      if (!(error instanceof BlobChanged)) throw error;
      return Buffer.alloc(0);
    }
    return Buffer.concat(chunks);
  }

  #begin(file: StoredFile, options: { key: string; accountId: string; replaces: boolean }): Making {
    const { key, accountId } = options;
    if (file.kind !== 'image') {
      throw new ServiceError('thumbnail_unavailable', `${file.filename} is not an image, so it has no thumbnail.`);
    }
    const abandoned = new AbortController();
    const store = () => {
      making.hasBegun = true;
      return this.#store(file, options);
    };
    const stored = Promise.resolve()
      .then(() => this.#slots.run(accountId, store, { signal: abandoned.signal }))
      .finally(() => {
        if (this.#inFlight.get(key) === making) this.#inFlight.delete(key);
      });
    const making: Making = { stored, abandoned, requests: 0, hasBegun: false };
    this.#inFlight.set(key, making);
    return making;
  }

  async #store(
    file: StoredFile,
    { key, accountId, replaces }: { key: string; accountId: string; replaces: boolean },
  ): Promise<Buffer> {
    const { blobs } = this.#dependencies;
    // It may have waited for long.
    if (await this.#isGone(file)) throw fileNotFound(file.filename);
    const thumbnail = await this.#makeOf(file, { accountId });
    if (replaces) await blobs.delete([key]);
    const limit = { bytes: thumbnail.length, message: '' };
    const { signal } = new AbortController();
    const staged = await blobs.stage(Readable.from([thumbnail]), { key, limit, accountId, signal });
    await staged.commit().catch((error) => {
      // Another instance stored the same thumbnail first.
      if (!(error instanceof ServiceError && error.code === 'upload_finalized')) throw error;
    });
    // Cleanup may have run already and will not delete this thumbnail.
    if (await this.#isGone(file)) {
      await blobs.delete([key]);
      throw fileNotFound(file.filename);
    }
    return thumbnail;
  }

  async #isGone({ id }: StoredFile): Promise<boolean> {
    const { catalog } = this.#dependencies;
    return (await catalog.file(id)) === undefined && !(await catalog.revisions.isPast(id));
  }

  async #makeOf(file: StoredFile, { accountId }: { accountId: string }): Promise<Buffer> {
    const { signal } = new AbortController();
    const fetched = await fetchIntact(this.#dependencies.blobs, file, { accountId, signal });
    if ('problem' in fetched) throw new ServiceError('bytes_replaced', fetched.problem.message);
    try {
      const { content, sizeBytes } = fetched.blob;
      return await this.#make({ path: content.path, sizeBytes }, { accountId });
    } catch (error) {
      // The server stops, or could not start a process: the image itself may well have a thumbnail.
      if (error instanceof ServiceError) throw error;
      const message = `Can't make a thumbnail of ${file.filename}.`;
      throw new ServiceError('thumbnail_unavailable', message, { cause: error });
    } finally {
      await fetched.blob.discard();
    }
  }
}

/**
 * Whether these are all bytes of a WebP. Its header has the length of what follows the first 8 bytes
 * (https://developers.google.com/speed/webp/docs/riff_container).
 */
function isWhole(bytes: Buffer): boolean {
  if (bytes.length > MAX_BYTES) return false;
  const [riff, webp] = [bytes.toString('latin1', 0, 4), bytes.toString('latin1', 8, 12)];
  return riff === 'RIFF' && webp === 'WEBP' && bytes.readUInt32LE(4) === bytes.length - 8;
}

/** Waits as one of the requests for a thumbnail. */
async function waitFor(making: Making, signal: AbortSignal): Promise<Buffer> {
  making.requests++;
  const leave = () => {
    making.requests--;
    if (making.requests === 0 && !making.hasBegun) making.abandoned.abort(signal.reason);
  };
  signal.addEventListener('abort', leave, { once: true });
  try {
    return await making.stored;
  } finally {
    signal.removeEventListener('abort', leave);
  }
}
