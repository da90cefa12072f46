import { createHash } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  fstatSync,
  linkSync,
  lstatSync,
  openSync,
  readSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';

/*
 * Runs in worker threads. Each file is read once, hashed and written by synchronous calls: for a folder of small files,
 * asynchronous calls take much longer than `cp -r`.
 */

export interface FileToCopy {
  readonly from: string;
  readonly to: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly isHardLinked: boolean;
}

export interface CopyJob {
  readonly files: readonly FileToCopy[];
  /** `[files, bytes]` done so far by all jobs; shared memory. */
  readonly done: BigInt64Array;
}

export type CopyOutcome =
  | { readonly ok: true; readonly mtimesMs: readonly number[] }
  /** `index` is the failed file's in the job. An error loses its `code` when it is passed between threads. */
  | { readonly ok: false; readonly index: number; readonly errno: string; readonly message: string };

/** Used instead of an errno if the size or the SHA-256 differs. */
export const MISMATCH = 'MISMATCH';

/** Used instead of an errno if a part of the disk can't be read. */
export const UNREADABLE = 'UNREADABLE';

const BUFFER_BYTES = 256 * 1024;
const buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);

/** Whether to try reflinks (FICLONE, ioctl_ficlone(2)); false after the first one that fails. */
let canClone = true;

/** Copies files and checks each against its size and SHA-256. Stops at the first that fails. */
export function copyFiles({ files, done }: CopyJob): CopyOutcome {
  const mtimesMs: number[] = [];
  for (const [index, file] of files.entries()) {
    try {
      mtimesMs.push(copy(file, done));
      Atomics.add(done, 0, 1n);
    } catch (error) {
      const { code = '', syscall, message } = error as NodeJS.ErrnoException;
      return { ok: false, index, errno: code === 'EIO' && syscall === 'read' ? UNREADABLE : code, message };
    }
  }
  return { ok: true, mtimesMs };
}

function copy(file: FileToCopy, done: BigInt64Array): number {
  // Opening a pipe would wait for a writer.
  if (!statSync(file.from).isFile()) throw mismatch(file);
  if (file.isHardLinked) linkSync(file.from, file.to);
  const sharesBytes = file.isHardLinked || clone(file);
  const input = openSync(sharesBytes ? file.to : file.from, 'r');
  let output: number | undefined;
  try {
    output = sharesBytes ? undefined : openSync(file.to, 'wx');
    const hash = createHash('sha256');
    let bytes = 0;
    for (;;) {
      const length = readSync(input, buffer, 0, BUFFER_BYTES, null);
      if (length === 0) break;
      const part = buffer.subarray(0, length);
      hash.update(part);
      if (output !== undefined) writeAll(output, part);
      bytes += length;
      Atomics.add(done, 1, BigInt(length));
    }
    if (bytes !== file.sizeBytes || hash.digest('hex') !== file.sha256) throw mismatch(file);
    return fstatSync(output ?? input).mtimeMs;
  } finally {
    closeSync(input);
    if (output !== undefined) closeSync(output);
  }
}

function clone({ from, to }: FileToCopy): boolean {
  if (!canClone) return false;
  try {
    copyFileSync(from, to, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL);
    // A reflink also copies the stored file's mode, which may deny others to read.
    chmodSync(to, 0o666 & ~process.umask());
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'EEXIST' || code === 'ENOSPC' || code === 'EDQUOT') throw error;
    canClone = false;
    // A failed attempt may leave an empty file.
    if (lstatSync(to, { throwIfNoEntry: false }) !== undefined) unlinkSync(to);
    return false;
  }
}

function writeAll(output: number, part: Buffer): void {
  for (let at = 0; at < part.length; ) at += writeSync(output, part, at);
}

function mismatch({ from }: FileToCopy): Error {
  return Object.assign(new Error(`${from} is damaged`), { code: MISMATCH });
}
