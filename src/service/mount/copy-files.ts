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
  unlinkSync,
  writeSync,
} from 'node:fs';

/*
 * Runs in worker threads. Files are read, hashed and written in one go and synchronously: for a folder of small files, that
 * is what makes the difference to `cp -r`.
 */

export interface FileToCopy {
  readonly from: string;
  readonly to: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  /** A second name for the same bytes in place of a copy. */
  readonly isLinked: boolean;
}

export interface CopyJob {
  readonly files: readonly FileToCopy[];
  /** `[files, bytes]` done so far, over all jobs; shared memory. */
  readonly done: BigInt64Array;
}

export type CopyOutcome =
  | { readonly ok: true; readonly mtimesMs: readonly number[] }
  /** The file at fault by its place in the job. Errors lose their `code` between threads. */
  | { readonly ok: false; readonly index: number; readonly errno: string; readonly message: string };

/** In place of an errno: the bytes are not those that they are said to be. */
export const MISMATCH = 'MISMATCH';

const BUFFER_BYTES = 256 * 1024;
const buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);

/** Until the first failure: between these folders, or on this file system, files may share their blocks. */
let canClone = true;

/** Copies files, each of them checked against its size and SHA-256. Stops at the first that fails. */
export function copyFiles({ files, done }: CopyJob): CopyOutcome {
  const mtimesMs: number[] = [];
  for (const [index, file] of files.entries()) {
    try {
      mtimesMs.push(copy(file, done));
      Atomics.add(done, 0, 1n);
    } catch (error) {
      const { code = '', message } = error as NodeJS.ErrnoException;
      return { ok: false, index, errno: code, message };
    }
  }
  return { ok: true, mtimesMs };
}

function copy(file: FileToCopy, done: BigInt64Array): number {
  if (file.isLinked) linkSync(file.from, file.to);
  const sharesBytes = file.isLinked || clone(file);
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
    // The store's own mode comes along, which may keep others from reading.
    chmodSync(to, 0o666 & ~process.umask());
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'EEXIST' || code === 'ENOSPC' || code === 'EDQUOT') throw error;
    canClone = false;
    // What a failed attempt leaves would be in the way.
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
