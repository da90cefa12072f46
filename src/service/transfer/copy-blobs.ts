import { createHash } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { Readable } from 'node:stream';
import { ServiceError } from '../../dataset/errors.js';
import { type ErrorProblem, errorIn } from '../../dataset/problems.js';
import { forEachConcurrent } from '../../for-each-concurrent.js';
import type { BlobStore } from '../../storage/blobs/blobs.js';
import type { ReferencedBlob } from '../../storage/catalog/copy-catalog.js';
import { isUnreadable } from '../check/fetch-intact.js';

/** Concurrent copies: enough to hide the latency of a request or of an fsync. */
const MAX_COPIES = 16;

/** Bytes of concurrent copies. A larger file is copied alone. */
const MAX_BYTES_IN_FLIGHT = 256 * 1024 * 1024;

/** A file that can't be copied because its bytes are missing or damaged. */
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
  /** Not counting files that the target already had. */
  readonly copiedFiles: number;
  readonly copiedBytes: number;
  readonly lost: readonly LostBlob[];
}

/**
 * Copies all blobs that the target does not have yet. Each is read once, and gets its name in the target only after its size
 * and SHA-256 were checked. So every named blob is complete, and an interrupted copy continues when it is run again. Lost
 * blobs are collected, not thrown.
 *
 * @throws ServiceError of either store; the signal's reason
 */
export async function copyBlobs(
  pages: AsyncIterable<readonly ReferencedBlob[]>,
  stores: { from: Pick<BlobStore, 'read'>; to: BlobStore },
  options: {
    extent: { files: number; bytes: number };
    signal: AbortSignal;
    onProgress?: ((progress: CopyProgress) => void) | undefined;
  },
): Promise<BlobCopy> {
  const { extent, signal, onProgress } = options;
  const { from, to } = stores;
  // Every copy adds a listener.
  setMaxListeners(0, signal);
  const lost: LostBlob[] = [];
  let [copiedFiles, copiedBytes, doneFiles, doneBytes, bytesInFlight] = [0, 0, 0, 0, 0];
  let onCopyEnd = () => {};
  let hasFailed = false;
  const done = (sizeBytes: number) => {
    doneFiles++;
    doneBytes += sizeBytes;
    onProgress?.({ totalFiles: extent.files, totalBytes: extent.bytes, doneFiles, doneBytes });
  };
  async function* missing(): AsyncGenerator<ReferencedBlob> {
    for await (const page of pages) {
      signal.throwIfAborted();
      const found = await to.find(page.map(({ key }) => key));
      for (const blob of page) {
        const existing = found.get(blob.key);
        if (existing?.sizeBytes === blob.sizeBytes) {
          done(blob.sizeBytes);
          continue;
        }
        while (!hasFailed && bytesInFlight > 0 && bytesInFlight + blob.sizeBytes > MAX_BYTES_IN_FLIGHT) {
          await new Promise<void>((resolve) => {
            onCopyEnd = resolve;
          });
        }
        bytesInFlight += blob.sizeBytes;
        // A disk that lost bytes in a crash left it with another size.
        if (existing !== undefined) await to.delete([blob.key]);
        yield blob;
      }
    }
  }
  await forEachConcurrent(missing(), MAX_COPIES, async (blob) => {
    const copying = copyBlob(blob, from, to, signal).catch((error) => {
      // Blobs taken from the queue after this are not copied and release no bytes, so `missing` must not wait for them.
      hasFailed = true;
      throw error;
    });
    const reason = await copying.finally(() => {
      bytesInFlight -= blob.sizeBytes;
      onCopyEnd();
    });
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

/** @returns the reason if the blob is lost */
async function copyBlob(
  blob: ReferencedBlob,
  from: Pick<BlobStore, 'read'>,
  to: BlobStore,
  signal: AbortSignal,
): Promise<LostBlob['reason'] | undefined> {
  const { key, sizeBytes } = blob;
  signal.throwIfAborted();
  const source = await from.read(key, { signal }).catch((error) => {
    if (!isUnreadable(error)) throw error;
    return 'damaged' as const;
  });
  if (source === 'damaged') return source;
  if (source === undefined) return 'missing';
  let isDamaged = false;
  const body = Readable.from(
    checked(source, blob, () => {
      isDamaged = true;
    }),
    { objectMode: false },
  );
  const limit = { bytes: sizeBytes, message: `${blob.filename} is larger than it was when it was uploaded.` };
  try {
    const staged = await to.stage(body, { key, limit, atMostBytes: sizeBytes, signal });
    await staged.commit();
  } catch (error) {
    if (isDamaged) return 'damaged';
    // Another process has copied and checked the same blob.
    if (!(error instanceof ServiceError && error.code === 'upload_finalized')) throw error;
  } finally {
    source.destroy();
  }
  return undefined;
}

/** Passes the bytes on, and throws at the end, or as soon as there are too many, if size or SHA-256 differ. */
async function* checked(
  source: Readable,
  { sizeBytes, sha256 }: ReferencedBlob,
  onDamage: () => void,
): AsyncGenerator<Buffer> {
  const hash = createHash('sha256');
  let bytes = 0;
  try {
    for await (const chunk of source) {
      bytes += chunk.length;
      hash.update(chunk);
      if (bytes > sizeBytes) break;
      yield chunk;
    }
  } catch (error) {
    if (isUnreadable(error)) onDamage();
    throw error;
  }
  if (bytes === sizeBytes && hash.digest('hex') === sha256) return;
  onDamage();
  throw new Error('The size or SHA-256 of these bytes is not that of the upload.');
}

/** The problem of a file whose bytes are lost. */
export function problemOf({ filename, reason }: LostBlob): ErrorProblem {
  const message = `${filename} was ${reason} in the backup that this dataset was restored from. Upload it again.`;
  return errorIn(filename, 'BYTES_LOST', message);
}
