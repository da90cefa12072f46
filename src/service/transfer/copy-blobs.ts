import { setMaxListeners } from 'node:events';
import { Readable } from 'node:stream';
import { ServiceError } from '../../dataset/errors.js';
import { forEachConcurrent } from '../../for-each-concurrent.js';
import { BlobChanged, type BlobReader, type BlobStore } from '../../storage/blobs/blobs.js';
import type { ReferencedBlob } from '../../storage/catalog/copy-catalog.js';
import { isUnreadable } from '../check/fetch-intact.js';

/** Enough to hide the latency of a request or of an fsync. */
const MAX_COPIES = 16;

/** A file whose bytes are missing or damaged. */
export interface LostBlob extends ReferencedBlob {
  readonly reason: 'missing' | 'damaged';
}

export interface CopyProgress {
  readonly totalFiles: number;
  readonly totalBytes: number;
  /** Complete in the target, copied now or earlier. */
  readonly doneFiles: number;
  readonly doneBytes: number;
}

export interface BlobCopy {
  /** Without files that the target had already. */
  readonly copiedFiles: number;
  readonly copiedBytes: number;
  readonly lost: readonly LostBlob[];
}

export interface BlobStores {
  readonly from: Pick<BlobReader, 'read'>;
  readonly to: BlobStore;
}

/**
 * Copies the blobs that the target lacks. Each gets its name after its size and SHA-256 were checked, so that an interrupted
 * copy can continue. Lost blobs are collected, not thrown.
 *
 * @throws ServiceError of either store; the signal's reason
 */
export async function copyBlobs(
  pages: AsyncIterable<readonly ReferencedBlob[]>,
  stores: BlobStores,
  options: {
    extent: { files: number; bytes: number };
    signal: AbortSignal;
    onProgress?: ((progress: CopyProgress) => void) | undefined;
  },
): Promise<BlobCopy> {
  const { extent, signal, onProgress } = options;
  // Every copy adds a listener.
  setMaxListeners(0, signal);
  const lost: LostBlob[] = [];
  let [copiedFiles, copiedBytes, doneFiles, doneBytes] = [0, 0, 0, 0];
  const done = (sizeBytes: number) => {
    doneFiles++;
    doneBytes += sizeBytes;
    onProgress?.({ totalFiles: extent.files, totalBytes: extent.bytes, doneFiles, doneBytes });
  };
  async function* missing(): AsyncGenerator<ReferencedBlob> {
    for await (const page of pages) {
      signal.throwIfAborted();
      const found = await stores.to.find(page.map(({ key }) => key));
      for (const blob of page) {
        const existing = found.get(blob.key);
        // A disk that lost bytes in a crash may have a blob of another size.
        if (existing !== undefined && existing.sizeBytes !== blob.sizeBytes) await stores.to.delete([blob.key]);
        if (existing?.sizeBytes === blob.sizeBytes) done(blob.sizeBytes);
        else yield blob;
      }
    }
  }
  await forEachConcurrent(missing(), MAX_COPIES, async (blob) => {
    signal.throwIfAborted();
    const reason = await copyBlob(blob, stores, signal);
    if (reason !== undefined) {
      lost.push({ ...blob, reason });
      return;
    }
    copiedFiles++;
    copiedBytes += blob.sizeBytes;
    done(blob.sizeBytes);
  });
  signal.throwIfAborted();
  return { copiedFiles, copiedBytes, lost };
}

class BlobLost extends Error {
  readonly reason: LostBlob['reason'];

  constructor(reason: LostBlob['reason']) {
    super(`The bytes are ${reason}.`);
    this.reason = reason;
  }
}

/** @returns why the blob is lost */
async function copyBlob(
  { key, sizeBytes, sha256, filename }: ReferencedBlob,
  { from, to }: BlobStores,
  signal: AbortSignal,
): Promise<LostBlob['reason'] | undefined> {
  const limit = { bytes: sizeBytes, message: `${filename} is larger than it was when it was uploaded.` };
  try {
    const body = Readable.from(bytesOf(from, key, signal), { objectMode: false });
    const staged = await to.stage(body, { key, limit, signal });
    if (staged.sizeBytes !== sizeBytes || staged.sha256 !== sha256) {
      await staged.discard();
      return 'damaged';
    }
    await staged.commit();
  } catch (error) {
    if (error instanceof BlobLost) return error.reason;
    if (!(error instanceof ServiceError)) throw error;
    if (error.code === 'too_large') return 'damaged';
    // Another process has copied the same blob.
    if (error.code !== 'upload_finalized') throw error;
  }
  return undefined;
}

/** Opens a blob when it is read: a store closes a connection whose body is not read. @throws BlobLost */
async function* bytesOf(from: BlobStores['from'], key: string, signal: AbortSignal): AsyncGenerator<Buffer> {
  try {
    const source = await from.read(key, { signal });
    if (source === undefined) throw new BlobLost('missing');
    yield* source;
  } catch (error) {
    throw isUnreadable(error) || error instanceof BlobChanged ? new BlobLost('damaged') : error;
  }
}
