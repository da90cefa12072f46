import { createHash } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  fstatSync,
  linkSync,
  openSync,
  readSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';

/*
 * A program that runs as a thread. Each file is read once, hashed and written by synchronous calls: for a folder of small files,
 * asynchronous calls take much longer than `cp -r`.
 */

interface FileToCopy {
  readonly from: string;
  readonly to: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly isHardLinked: boolean;
}

/** The files that several threads copy. */
export interface CopyWork {
  readonly files: readonly FileToCopy[];
  /** The index of the next file that no thread has begun; shared memory. */
  readonly next: Int32Array;
}

/** An error loses its `code` when it is passed between threads. */
export interface CopyFailure {
  readonly index: number;
  readonly errno: string;
  readonly message: string;
  /** The stored file has other bytes, or can't be read. */
  readonly isDamaged: boolean;
}

/** Since the last message: bytes, and complete files as `[index, mtimeMs]`. */
export interface CopyMessage {
  readonly bytes: number;
  readonly copied: readonly (readonly [number, number])[];
  readonly failure?: CopyFailure;
}

/** A link to itself, a socket or a folder is in the place of the stored file, or a part of the disk can't be read. */
const UNREADABLE = ['ELOOP', 'ENXIO', 'EISDIR', 'EIO'];

/** The size or the SHA-256 differs. */
class Mismatch extends Error {}

const REPORT_INTERVAL_MS = 100;
const buffer = Buffer.allocUnsafeSlow(256 * 1024);

/** Whether to try reflinks (FICLONE, ioctl_ficlone(2)); false after the first one that fails. */
let canClone = true;

let bytes = 0;
let copied: [number, number][] = [];
let reportedAt = performance.now();

/** Copies files until all are begun, or one fails. */
function copyAll({ files, next }: CopyWork): void {
  for (let index = Atomics.add(next, 0, 1); index < files.length; index = Atomics.add(next, 0, 1)) {
    try {
      copied.push([index, copy(files[index]!)]);
    } catch (error) {
      const { code: errno = '', syscall = '', message } = error as NodeJS.ErrnoException;
      const isUnreadable = UNREADABLE.includes(errno) && ['open', 'read'].includes(syscall);
      report({ index, errno, message, isDamaged: isUnreadable || error instanceof Mismatch });
      return;
    }
  }
  report();
}

function report(failure?: CopyFailure): void {
  parentPort?.postMessage({ bytes, copied, ...(failure && { failure }) } satisfies CopyMessage);
  [bytes, copied, reportedAt] = [0, [], performance.now()];
}

function count(length: number): void {
  bytes += length;
  if (performance.now() - reportedAt > REPORT_INTERVAL_MS) report();
}

/** @returns the modification time of the copy in milliseconds since 1970 */
function copy({ from, to, sizeBytes, sha256, isHardLinked }: FileToCopy): number {
  // Opening a pipe would wait for a writer.
  const input = openSync(from, constants.O_RDONLY | constants.O_NONBLOCK);
  let output: number | undefined;
  try {
    const stats = fstatSync(input);
    if (!stats.isFile() || stats.size !== sizeBytes) throw new Mismatch(`${from} is damaged`);
    if (isHardLinked) linkSync(from, to);
    const sharesBytes = isHardLinked || clone(from, to);
    if (!sharesBytes) output = openSync(to, 'wx');
    const hash = createHash('sha256');
    for (let done = 0; done < sizeBytes; ) {
      const part = buffer.subarray(0, readSync(input, buffer, 0, buffer.length, null));
      if (part.length === 0) throw new Mismatch(`${from} is damaged`);
      hash.update(part);
      if (output !== undefined) writeAll(output, part);
      done += part.length;
      count(part.length);
    }
    if (hash.digest('hex') !== sha256) throw new Mismatch(`${from} is damaged`);
    return (output === undefined ? statSync(to) : fstatSync(output)).mtimeMs;
  } finally {
    closeSync(input);
    if (output !== undefined) closeSync(output);
  }
}

function clone(from: string, to: string): boolean {
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
    rmSync(to, { force: true });
    return false;
  }
}

function writeAll(output: number, part: Buffer): void {
  for (let at = 0; at < part.length; ) at += writeSync(output, part, at);
}

copyAll(workerData as CopyWork);
