import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { mediaTypeOf } from '../../dataset/media.js';
import { programFile } from '../../program-file.js';
import type { CopyFailure, CopyMessage, CopyWork } from './copy-thread.js';
import { type BringOptions, MountError, type MountFile, nameTaken, type PlacedFile } from './mount-source.js';

/** Enough to saturate a disk. */
const MAX_THREADS = Math.min(availableParallelism(), 4);
const PROGRAM = programFile('service/mount/copy-thread');

interface CopyOptions<F extends PlacedFile> extends BringOptions<F> {
  /** The file that holds the bytes of a file. */
  readonly pathOf: (file: MountFile) => string;
  /** The error for a file without bytes. */
  readonly missing: (file: MountFile) => Promise<Error>;
}

/**
 * Copies files of this machine into a folder that has none of them, in threads of its own: hashing would block the event loop.
 *
 * @throws MountError `damaged`, `cannot_link`, `cannot_write`; DatasetChanged; the system's errors; the signal's reason
 */
export async function copyFiles<F extends PlacedFile>(
  folder: string,
  files: readonly F[],
  options: CopyOptions<F>,
): Promise<void> {
  const { signal, pathOf, isHardLinked } = options;
  signal.throwIfAborted();
  if (files.length === 0) return;
  const workerData: CopyWork = {
    next: new Int32Array(new SharedArrayBuffer(4)),
    files: files.map((file) => {
      const { filename, mountedName, sizeBytes, sha256 } = file;
      // The trainer's UI rewrites captions in place (ai-toolkit `api/img/caption`), which would change the stored file.
      const isLink = isHardLinked && mediaTypeOf(filename)?.kind !== 'caption';
      return { from: pathOf(file), to: join(folder, mountedName), sizeBytes, sha256, isHardLinked: isLink };
    }),
  };
  const count = Math.min(options.concurrency, MAX_THREADS, files.length);
  const threads = Array.from({ length: count }, () => new Worker(PROGRAM, { workerData }));
  let stop = () => {};
  const stopped = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
  });
  signal.addEventListener('abort', stop);
  try {
    await Promise.race([stopped, Promise.all(threads.map((thread) => endOf(thread, files, options)))]);
  } finally {
    signal.removeEventListener('abort', stop);
    // No thread writes any more when this function returns.
    await Promise.all(threads.map((thread) => thread.terminate()));
  }
}

/** Reports the progress of a thread until it ends. */
function endOf<F extends PlacedFile>(thread: Worker, files: readonly F[], options: CopyOptions<F>): Promise<void> {
  return new Promise((resolve, reject) => {
    thread.on('message', ({ bytes, copied, failure }: CopyMessage) => {
      options.onBytes(bytes);
      for (const [index, mtimeMs] of copied) options.onFile(files[index]!, mtimeMs);
      if (failure !== undefined) copyError(failure, files, options).then(reject, reject);
    });
    thread.once('error', reject);
    thread.once('exit', (code) => {
      if (code === 0) resolve();
    });
  });
}

async function copyError<F extends PlacedFile>(
  { index, errno, message, isDamaged }: CopyFailure,
  files: readonly F[],
  { missing }: CopyOptions<F>,
): Promise<Error> {
  const file = files[index]!;
  const name = JSON.stringify(file.filename);
  if (isDamaged) {
    return new MountError('damaged', `The bytes of ${name} in the store are damaged. Upload the file again.`);
  }
  switch (errno) {
    // Only the stored file can be missing: the target folder was created by this mount.
    case 'ENOENT':
      return missing(file);
    case 'EEXIST':
      return nameTaken(file, files, message);
    case 'EXDEV':
      return new MountError('cannot_link', 'Hard links need the data and the mounted folder on the same file system.');
    case 'EPERM':
      return new MountError('cannot_link', `The system does not allow a hard link to the stored ${name}: ${message}`);
    default:
      return Object.assign(new Error(message), { code: errno, syscall: 'copy' });
  }
}
