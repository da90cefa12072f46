import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { mediaTypeOf } from '../../dataset/media.js';
import { programFile } from '../../program-file.js';
import type { CopyFailure, CopyReport, CopyWork } from './copy-thread.js';
import { type BringOptions, type DataFolderSource, MountError, nameTaken, type PlacedFile } from './mount-source.js';

/** Enough to saturate a disk. */
const MAX_THREADS = Math.min(availableParallelism(), 4);
const PROGRAM = programFile('service/mount/copy-thread');

/**
 * Copies files of this machine into a folder that has none of them, in threads of its own: hashing would block the event loop.
 *
 * @throws MountError `damaged`, `cannot_link`, `cannot_write`; DatasetChanged; the system's errors; the signal's reason
 */
export async function copyFiles(
  folder: string,
  files: readonly PlacedFile[],
  { source, signal, isHardLinked, concurrency, onBytes, onFile }: BringOptions & { source: DataFolderSource },
): Promise<void> {
  signal.throwIfAborted();
  const workerData: CopyWork = {
    next: new Int32Array(new SharedArrayBuffer(4)),
    files: files.map((file) => {
      const { filename, mountedName, sizeBytes, sha256 } = file;
      // The trainer's UI rewrites captions in place (ai-toolkit `api/img/caption`), which would change the stored file.
      const isLink = isHardLinked && mediaTypeOf(filename)?.kind !== 'caption';
      return { from: source.pathOf(file), to: join(folder, mountedName), sizeBytes, sha256, isHardLinked: isLink };
    }),
  };
  const count = Math.min(concurrency, MAX_THREADS, files.length);
  const threads = Array.from({ length: count }, () => new Worker(PROGRAM, { workerData }));
  const ends = threads.map((thread) => {
    thread.on('message', ({ bytes, copied }: CopyReport) => {
      for (const [index, mtimeMs] of copied) onFile(files[index]!, mtimeMs);
      onBytes(bytes);
    });
    return new Promise<void>((resolve, reject) => {
      thread.once('error', (failure: CopyFailure) => void copyError(failure, files, source).then(reject, reject));
      thread.once('exit', (code) => {
        if (code === 0) resolve();
      });
    });
  });
  let stop = () => {};
  const stopped = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
  });
  signal.addEventListener('abort', stop);
  try {
    await Promise.race([stopped, Promise.all(ends)]);
  } finally {
    signal.removeEventListener('abort', stop);
    // No thread writes any more when this function returns.
    await Promise.all(threads.map((thread) => thread.terminate()));
  }
}

async function copyError(
  failure: CopyFailure,
  files: readonly PlacedFile[],
  { missing }: DataFolderSource,
): Promise<Error> {
  if (failure.index === undefined) return failure;
  const file = files[failure.index]!;
  const name = JSON.stringify(file.filename);
  switch (failure.code) {
    case 'MISMATCH':
    case 'EIO':
      return new MountError('damaged', `The bytes of ${name} in the store are damaged. Upload the file again.`);
    // Only the stored file can be missing: the target folder was created by this mount.
    case 'ENOENT':
      return missing(file);
    case 'EEXIST':
      return nameTaken(file, files, failure);
    case 'EXDEV':
      return new MountError('cannot_link', 'Hard links need the data and the mounted folder on the same file system.');
    case 'EPERM':
      return new MountError('cannot_link', `The system does not allow a hard link to ${name}: ${failure.message}`);
    default:
      return failure;
  }
}
