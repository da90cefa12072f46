import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import type { Piscina } from 'piscina';
import { mediaTypeOf } from '../../../dataset/media.js';
import { forEachConcurrent } from '../../../for-each-concurrent.js';
import { programFile } from '../../../program-file.js';
import { type CopyOptions, MountError, type MountFile, nameTaken } from '../mount-source.js';
import { type CopyJob, type CopyOutcome, copyFiles, type FileToCopy, MISMATCH, UNREADABLE } from './copy-files.js';

/** Enough to saturate a disk. */
const MAX_THREADS = Math.min(availableParallelism(), 4);

/** A job holds many small files: a message to a thread costs more than copying one caption. */
const MAX_JOB_FILES = 64;
const MAX_JOB_BYTES = 16 * 1024 * 1024;

interface StoreCopyOptions extends CopyOptions {
  /** The file that holds the bytes of a file. */
  readonly pathOf: (file: MountFile) => string;
  /** The error for a file without bytes. */
  readonly missing: (file: MountFile) => Promise<Error>;
}

/**
 * Copies files of this machine into `folder`.
 *
 * @throws MountError `damaged`, `cannot_link`; DatasetChanged; the signal's reason
 */
export async function copyFromFolder(
  folder: string,
  files: readonly MountFile[],
  options: StoreCopyOptions,
): Promise<void> {
  const { signal, done, onFile } = options;
  const count = Math.min(options.threads, MAX_THREADS);
  const threads = new CopyThreads(count - (options.copiesOnMainThread ? 1 : 0));
  const copyWith = (copy: (job: CopyJob) => Promise<CopyOutcome>) => async (job: MountFile[]) => {
    const outcome = await copy({ files: job.map((file) => fileToCopy(folder, file, options)), done });
    if (!outcome.ok) throw await copyError(outcome, { job, files, options });
    for (const [i, file] of job.entries()) onFile(file, outcome.mtimesMs[i] ?? 0);
  };
  const inWorkers = copyWith((job) => threads.copy(job, signal));
  const onMainThread = copyWith(async (job) => {
    // Lets Ctrl-C and the progress display run. A large file would block them, so a worker copies it.
    await turn();
    signal.throwIfAborted();
    return job.files.some(({ sizeBytes }) => sizeBytes > MAX_JOB_BYTES) ? threads.copy(job, signal) : copyFiles(job);
  });
  const jobs = jobsOf(files);
  const loops = [
    ...(options.copiesOnMainThread ? [forEachConcurrent(jobs, 1, onMainThread)] : []),
    ...(threads.count > 0 ? [forEachConcurrent(jobs, threads.count * 2, inWorkers)] : []),
  ];
  try {
    await Promise.all(loops);
  } catch (error) {
    // The other loop gets no more jobs, and must have stopped writing before this function returns.
    jobs.return(undefined);
    await threads.end();
    await Promise.allSettled(loops);
    signal.throwIfAborted();
    throw error;
  } finally {
    await threads.end();
  }
}

/** Worker threads that copy, started when the first job arrives. */
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
      filename: programFile('service/mount/staging/copy-files'),
      name: 'copyFiles',
      minThreads: 0,
      maxThreads: Math.max(this.count, 1),
    });
  }

  async end(): Promise<void> {
    await (await this.#pool)?.destroy();
  }
}

function fileToCopy(folder: string, file: MountFile, { pathOf, nameOf, isHardLinked }: StoreCopyOptions): FileToCopy {
  const { sizeBytes, sha256, filename } = file;
  // The trainer's UI rewrites captions in place (ai-toolkit `api/img/caption`), which would change the stored file.
  const mayBeLinked = mediaTypeOf(filename)?.kind !== 'caption';
  const to = join(folder, nameOf(file));
  return { from: pathOf(file), to, sizeBytes, sha256, isHardLinked: isHardLinked && mayBeLinked };
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

async function copyError(
  { index, errno, message }: CopyOutcome & { ok: false },
  { job, files, options }: { job: readonly MountFile[]; files: readonly MountFile[]; options: StoreCopyOptions },
): Promise<Error> {
  const file = job[index]!;
  const name = JSON.stringify(file.filename);
  switch (errno) {
    case MISMATCH:
    // A folder is in the place of the stored file, or a part of the disk can't be read.
    case 'EISDIR':
    case UNREADABLE:
      return new MountError('damaged', `The bytes of ${name} in the store are damaged. Upload the file again.`);
    // Only the stored file can be missing: the target folder was created by this mount.
    case 'ENOENT':
      return options.missing(file);
    case 'EEXIST':
      return nameTaken(file, { files, nameOf: options.nameOf, cause: message });
    case 'EXDEV':
      return new MountError('cannot_link', 'Hard links need the data and the mounted folder on the same file system.');
    case 'EPERM':
      return new MountError('cannot_link', `The system does not allow a hard link to the stored ${name}: ${message}`);
    default:
      return Object.assign(new Error(message), { code: errno, syscall: 'copy' });
  }
}
