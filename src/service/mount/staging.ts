import { mkdir, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import type { Piscina } from 'piscina';
import { mediaTypeOf, mountedNameOf } from '../../dataset/media.js';
import { forEachConcurrent } from '../../for-each-concurrent.js';
import { type CopyJob, type CopyOutcome, copyFiles, type FileToCopy, MISMATCH } from './copy-files.js';
import { type MountableDataset, MountError, type MountFile, type MountSource, SourceChanged } from './mount-source.js';
import type { RecordedFile } from './mounted-folder.js';
import { receiveFiles } from './receive-files.js';

/** Where a mount stands; all bytes that count have been written and checked, or are just being. */
export interface MountProgress {
  readonly totalFiles: number;
  readonly doneFiles: number;
  readonly totalBytes: number;
  readonly doneBytes: number;
}

export interface StagingOptions {
  /** Hard links in place of copies of images and videos. */
  readonly isLinked: boolean;
  /** Files under way at once over the network. */
  readonly connections: number;
  /** Threads that copy and hash where the bytes are on this machine. */
  readonly threads: number;
  /** This thread is one of them: for a process that has nothing else to do. */
  readonly copiesHere: boolean;
  readonly signal: AbortSignal;
  readonly onProgress: ((progress: MountProgress) => void) | undefined;
}

/** Enough threads for any disk; more would only be in each other's way. */
export const COPY_THREADS = Math.min(availableParallelism(), 4);

const PROGRESS_INTERVAL_MS = 100;

/** A thread is given so much at a time: a message for every caption would cost more than the caption. */
const MAX_JOB_FILES = 64;
const MAX_JOB_BYTES = 16 * 1024 * 1024;

/**
 * Fills `folder` with the files of a dataset, each checked against its size and SHA-256, and nothing else.
 *
 * What an earlier attempt received over the network is kept where it still fits.
 *
 * @throws MountError; SourceChanged; the signal's reason
 */
export async function stageFiles(
  folder: string,
  dataset: MountableDataset,
  source: MountSource,
  options: StagingOptions,
): Promise<RecordedFile[]> {
  const totalFiles = dataset.files.length;
  const totalBytes = dataset.files.reduce((sum, file) => sum + file.sizeBytes, 0);
  // `[files, bytes]`, where other threads can count too.
  const done = new BigInt64Array(new SharedArrayBuffer(16));
  const tell = () => {
    const [doneFiles, doneBytes] = [Number(Atomics.load(done, 0)), Number(Atomics.load(done, 1))];
    options.onProgress?.({ totalFiles, doneFiles, totalBytes, doneBytes });
  };
  const telling = setInterval(tell, PROGRESS_INTERVAL_MS);
  try {
    const staged: RecordedFile[] = [];
    const onFile = (file: MountFile, mtimeMs: number) => void staged.push(recorded(file, mtimeMs));
    const { read, readTogether } = source;
    if (read === undefined) await copyAll(folder, dataset.files, { ...options, done, onFile });
    else {
      await receiveFiles(
        folder,
        dataset.files,
        { read, readTogether },
        {
          ...options,
          onBytes: (bytes) => void Atomics.add(done, 1, BigInt(bytes)),
          onFile: (file, mtimeMs) => {
            Atomics.add(done, 0, 1n);
            onFile(file, mtimeMs);
          },
        },
      );
    }
    tell();
    return staged;
  } finally {
    clearInterval(telling);
  }
}

type CopyOptions = StagingOptions & {
  readonly done: BigInt64Array;
  readonly onFile: (file: MountFile, mtimeMs: number) => void;
};

/** Copies in other threads, and where there is nothing else to do here, in this one too: it need not be started first. */
async function copyAll(folder: string, files: readonly MountFile[], options: CopyOptions): Promise<void> {
  const { signal, done, isLinked, onFile } = options;
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder);
  const threads = new CopyThreads(options.threads - (options.copiesHere ? 1 : 0));
  const copyWith = (copy: (job: CopyJob) => Promise<CopyOutcome>) => async (job: MountFile[]) => {
    const outcome = await copy({ files: job.map((file) => fileToCopy(folder, file, isLinked)), done });
    if (!outcome.ok) throw copyError(outcome, job);
    for (const [i, file] of job.entries()) onFile(file, outcome.mtimesMs[i] ?? 0);
  };
  const elsewhere = copyWith((job) => threads.copy(job, signal));
  const here = copyWith(async (job) => {
    // Ctrl-C and the progress have their turn; a large file would not let them.
    await turn();
    signal.throwIfAborted();
    return job.files.some(({ sizeBytes }) => sizeBytes > MAX_JOB_BYTES) ? threads.copy(job, signal) : copyFiles(job);
  });
  const jobs = jobsOf(files);
  const loops = [
    ...(options.copiesHere ? [forEachConcurrent(jobs, 1, here)] : []),
    ...(threads.count > 0 ? [forEachConcurrent(jobs, threads.count * 2, elsewhere)] : []),
  ];
  try {
    await Promise.all(loops);
  } catch (error) {
    // No more jobs for the other loop, which must not write any more once this has returned.
    jobs.return(undefined);
    await threads.end();
    await Promise.allSettled(loops);
    signal.throwIfAborted();
    throw error;
  } finally {
    await threads.end();
  }
}

/** Threads that copy, started when they are first needed. */
class CopyThreads {
  readonly count: number;
  #pool: Promise<Piscina<CopyJob, CopyOutcome>> | undefined;

  constructor(count: number) {
    this.count = count;
  }

  async copy(job: CopyJob, signal: AbortSignal): Promise<CopyOutcome> {
    this.#pool ??= this.#start();
    return (await this.#pool).run(job, { signal });
  }

  async #start(): Promise<Piscina<CopyJob, CopyOutcome>> {
    const { Piscina } = await import('piscina');
    return new Piscina<CopyJob, CopyOutcome>({
      filename: new URL('./copy-files.js', import.meta.url).href,
      name: 'copyFiles',
      minThreads: 0,
      maxThreads: Math.max(this.count, 1),
    });
  }

  async end(): Promise<void> {
    await (await this.#pool)?.destroy();
  }
}

function fileToCopy(folder: string, file: MountFile, isLinked: boolean): FileToCopy {
  const { path, sizeBytes, sha256, filename } = file;
  if (path === undefined) throw new Error(`${filename} is not on this machine, and its source can't read it.`);
  return {
    from: path,
    to: join(folder, mountedNameOf(filename)),
    sizeBytes,
    sha256,
    // The trainer's UI rewrites captions in place (ai-toolkit `api/img/caption`), which would reach into the store.
    isLinked: isLinked && mediaTypeOf(filename)?.kind !== 'caption',
  };
}

function* jobsOf(files: readonly MountFile[]): Generator<MountFile[]> {
  let job: MountFile[] = [];
  let bytes = 0;
  for (const file of files) {
    if (job.length === MAX_JOB_FILES || (job.length > 0 && bytes + file.sizeBytes > MAX_JOB_BYTES)) {
      yield job;
      [job, bytes] = [[], 0];
    }
    job.push(file);
    bytes += file.sizeBytes;
  }
  if (job.length > 0) yield job;
}

function copyError({ index, errno, message }: CopyOutcome & { ok: false }, job: readonly MountFile[]): Error {
  const file = job[index];
  const name = JSON.stringify(file?.filename);
  switch (errno) {
    case MISMATCH:
      return new MountError(
        'damaged',
        `The stored bytes of ${name} are not any more what was uploaded: their SHA-256 differs. Upload the file again.`,
      );
    // The source's file is named first; the folder's own can't be missing, since it was made for this.
    case 'ENOENT':
      return new SourceChanged(`${name} has left the store`);
    case 'EXDEV':
      return new MountError('cannot_link', 'Hard links need the data and the mounted folder on the same file system.');
    case 'EPERM':
      return new MountError('cannot_link', `A hard link to the stored ${name} is not allowed here: ${message}`);
    default:
      return Object.assign(new Error(message), { code: errno, syscall: 'copy' });
  }
}

function recorded({ filename, sha256, sizeBytes }: MountFile, mtimeMs: number): RecordedFile {
  return { filename, mounted_name: mountedNameOf(filename), sha256, size_bytes: sizeBytes, mtime_ms: mtimeMs };
}
