import type { CompleteFile } from '../../dataset/dataset.js';
import { hasErrno, ServiceError } from '../../dataset/errors.js';
import { type ErrorProblem, errorIn } from '../../dataset/problems.js';
import { BlobChanged, blobKeyOf, type FetchOptions, type MeasuredBlob } from '../../storage/blobs/blobs.js';

const DISAPPEARED = 'disappeared from the store';

/** Reads a file and compares its SHA-256. The caller discards the blob. @returns the problem if bytes are lost or changed */
export async function fetchIntact<Blob extends Omit<MeasuredBlob, 'content'>>(
  blobs: { fetch(key: string, options: FetchOptions): Promise<Blob | undefined> },
  file: CompleteFile,
  { accountId, signal }: { accountId?: string; signal: AbortSignal },
): Promise<{ blob: Blob } | { problem: ErrorProblem }> {
  const { filename, upload } = file;
  const { sizeBytes, sha256, blobVersion: version } = upload;
  const lost = (reason: string) => {
    const message = `The bytes of ${filename} ${reason} after they had been uploaded. Upload the file again.`;
    return { problem: errorIn(filename, 'BYTES_LOST', message) };
  };
  const limit = { bytes: sizeBytes, message: `The blob of ${filename} has more than ${sizeBytes} bytes.` };
  let blob: Blob | undefined;
  try {
    blob = await blobs.fetch(blobKeyOf(file), { limit, version, accountId, signal });
  } catch (error) {
    signal.throwIfAborted();
    const isLonger = error instanceof ServiceError && error.code === 'too_large';
    if (isLonger || error instanceof BlobChanged) return lost('were changed in the store');
    if (isUnreadable(error)) return lost('became unreadable in the store');
    throw error;
  }
  if (blob === undefined) return lost(DISAPPEARED);
  if (blob.sizeBytes === sizeBytes && blob.sha256 === sha256) return { blob };
  await blob.discard();
  return lost('were changed in the store');
}

/** Whether the bytes disappeared, rather than changed. */
export function hasDisappeared({ code, message }: ErrorProblem): boolean {
  return code === 'BYTES_LOST' && message.includes(DISAPPEARED);
}

/** True for a bad disk sector, and for a folder in the place of a file. */
export function isUnreadable(error: unknown): boolean {
  if (hasErrno(error, 'EISDIR')) return true;
  return hasErrno(error, 'EIO') && (error as NodeJS.ErrnoException).syscall === 'read';
}
