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

/** The error that ends a thread: the system's, or `MISMATCH` for a stored file with another size or SHA-256. */
export interface CopyFailure extends NodeJS.ErrnoException {
  /** Of the file. */
  index?: number;
}

/** Since the last message: bytes, and complete files as `[index, mtimeMs]`. */
export interface CopyReport {
  readonly bytes: number;
  readonly copied: readonly (readonly [number, number])[];
}

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
      throw Object.assign(error as CopyFailure, { index });
    }
  }
  report();
}

function report(): void {
  parentPort?.postMessage({ bytes, copied } satisfies CopyReport);
  [bytes, copied, reportedAt] = [0, [], performance.now()];
}

/** @returns the modification time of the copy in milliseconds since 1970 */
function copy({ from, to, sizeBytes, sha256, isHardLinked }: FileToCopy): number {
  const input = openSync(from, 'r');
  let output: number | undefined;
  try {
    const mismatch = () => Object.assign(new Error(`${from} is damaged`), { code: 'MISMATCH' });
    if (fstatSync(input).size !== sizeBytes) throw mismatch();
    if (isHardLinked) linkSync(from, to);
    const sharesBytes = isHardLinked || clone(from, to);
    if (!sharesBytes) output = openSync(to, 'wx');
    const hash = createHash('sha256');
    let done = 0;
    for (let length = -1; length !== 0 && done < sizeBytes; done += length) {
      length = readSync(input, buffer, 0, buffer.length, null);
      hash.update(buffer.subarray(0, length));
      for (let at = 0; output !== undefined && at < length; ) at += writeSync(output, buffer, at, length - at);
      bytes += length;
      if (performance.now() - reportedAt > REPORT_INTERVAL_MS) report();
    }
    if (done !== sizeBytes || hash.digest('hex') !== sha256) {
      throw mismatch();
    }
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

copyAll(workerData as CopyWork);
