import { createHash } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { Readable } from 'node:stream';
import { hasErrno, ServiceError } from '../../dataset/errors.js';
import { type ErrorProblem, errorIn } from '../../dataset/problems.js';
import { forEachConcurrent } from '../../for-each-concurrent.js';
import type { BlobStore } from '../../storage/blobs/blobs.js';
import type { NamedBlob } from '../../storage/catalog/copy-catalog.js';

/** Enough to hide the time of a request, or of a disk's cache being written, behind those of others. */
const COPIES_AT_ONCE = 16;

/** And no more than that, but for one file that is larger by itself: large ones would only make each other wait. */
const BYTES_AT_ONCE = 256 * 1024 * 1024;

/** Bytes that can't be copied, since they are not any more what was uploaded. */
export interface LostBlob extends NamedBlob {
  readonly reason: 'missing' | 'damaged';
}

export interface CopyProgress {
  readonly totalFiles: number;
  readonly totalBytes: number;
  /** In the target, whole, copied now or earlier. */
  readonly doneFiles: number;
  readonly doneBytes: number;
}

export interface BlobCopy {
  /** What was not there yet. */
  readonly copiedFiles: number;
  readonly copiedBytes: number;
  readonly lost: readonly LostBlob[];
}

/**
 * Brings the target all blobs that it doesn't have yet, each read once and proved against its size and SHA-256 before it
 * gets its name there. So what is there under its name is whole, and an interrupted copy goes on when it is run again. It
 * goes on past bytes that are lost, so that all of them can be told.
 *
 * @throws ServiceError of either store; the signal's reason
 */
export async function copyBlobs(
  pages: AsyncIterable<readonly NamedBlob[]>,
  stores: { from: Pick<BlobStore, 'read'>; to: BlobStore },
  options: {
    extent: { files: number; bytes: number };
    signal: AbortSignal;
    onProgress?: ((progress: CopyProgress) => void) | undefined;
  },
): Promise<BlobCopy> {
  const { extent, signal, onProgress } = options;
  const { from, to } = stores;
  // Every copy listens.
  setMaxListeners(0, signal);
  const lost: LostBlob[] = [];
  let [copiedFiles, copiedBytes, doneFiles, doneBytes, bytesUnderWay] = [0, 0, 0, 0, 0];
  let onEnd = () => {};
  let hasFailed = false;
  const done = (sizeBytes: number) => {
    doneFiles++;
    doneBytes += sizeBytes;
    onProgress?.({ totalFiles: extent.files, totalBytes: extent.bytes, doneFiles, doneBytes });
  };
  async function* missing(): AsyncGenerator<NamedBlob> {
    for await (const page of pages) {
      signal.throwIfAborted();
      const found = await to.find(page.map(({ key }) => key));
      for (const blob of page) {
        const there = found.get(blob.key);
        if (there?.sizeBytes === blob.sizeBytes) {
          done(blob.sizeBytes);
          continue;
        }
        while (!hasFailed && bytesUnderWay > 0 && bytesUnderWay + blob.sizeBytes > BYTES_AT_ONCE) {
          await new Promise<void>((resolve) => {
            onEnd = resolve;
          });
        }
        bytesUnderWay += blob.sizeBytes;
        // Only a disk that lost something can have left it.
        if (there !== undefined) await to.delete([blob.key]);
        yield blob;
      }
    }
  }
  await forEachConcurrent(missing(), COPIES_AT_ONCE, async (blob) => {
    const copying = copyBlob(blob, from, to, signal).catch((error) => {
      // What was taken from the queue after this is never begun, and gives no bytes back.
      hasFailed = true;
      throw error;
    });
    const reason = await copying.finally(() => {
      bytesUnderWay -= blob.sizeBytes;
      onEnd();
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

/** @returns why it can't be copied */
async function copyBlob(
  blob: NamedBlob,
  from: Pick<BlobStore, 'read'>,
  to: BlobStore,
  signal: AbortSignal,
): Promise<LostBlob['reason'] | undefined> {
  const { key, sizeBytes } = blob;
  signal.throwIfAborted();
  const source = await from.read(key, { signal }).catch((error) => {
    if (isUnreadable(error)) return 'damaged' as const;
    throw error;
  });
  if (source === 'damaged') return source;
  if (source === undefined) return 'missing';
  let isDamaged = false;
  // The body itself breaks off: a store that has nowhere to put aside what is very large gives it its name at its end.
  const body = Readable.from(
    proved(source, blob, () => {
      isDamaged = true;
    }),
    { objectMode: false },
  );
  const limit = { bytes: sizeBytes, message: `${blob.filename} is larger than it was.` };
  try {
    const staged = await to.stage(body, { key, limit, atMostBytes: sizeBytes, signal });
    await staged.commit();
  } catch (error) {
    if (isDamaged) return 'damaged';
    // Somebody who copies the same was faster, and has proved it as well.
    if (!(error instanceof ServiceError && error.code === 'upload_finalized')) throw error;
  } finally {
    source.destroy();
  }
  return undefined;
}

/** Breaks off where the bytes are not those that they are said to be, at the latest where they should end. */
async function* proved(
  source: Readable,
  { sizeBytes, sha256 }: NamedBlob,
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
  throw new Error('These bytes are not those that were uploaded.');
}

/** What a disk says of a sector that it can't read any more. */
function isUnreadable(error: unknown): boolean {
  return hasErrno(error, 'EIO') && (error as NodeJS.ErrnoException).syscall === 'read';
}

/** What the dataset says of a file whose bytes are lost. */
export function problemOf({ filename, reason }: LostBlob): ErrorProblem {
  const what = reason === 'missing' ? 'was missing' : 'was damaged';
  return errorIn(filename, 'BYTES_LOST', `${filename} ${what} where this dataset was restored from. Upload it again.`);
}
