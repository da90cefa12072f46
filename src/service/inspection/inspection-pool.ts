import { availableParallelism } from 'node:os';
import { ServiceError } from '../../dataset/errors.js';
import { inspectWith, shownFilename } from '../../dataset/inspect/inspect.js';
import type { Inspection } from '../../dataset/inspect/inspection.js';
import { mediaTypeOf } from '../../dataset/media.js';
import { errorIn } from '../../dataset/problems.js';
import type { BlobContent } from '../../storage/blobs/blobs.js';
import type { InspectorOptions } from '../dependencies.js';
import type { InspectionJob } from './frames.js';
import { exceededText, expectedSecondsOf, KERNEL_LIMITS, limitsOf, RECYCLE_CPU_SECONDS } from './inspection-limits.js';
import { type Answer, InspectionProcess, ProcessEnded, type ReadAt } from './inspection-process.js';
import type { ProcessLimits } from './process-watch.js';
import { type SlotRequest, SlotScheduler } from './slot-scheduler.js';

/** Captions up to this size are inspected in this process; passing one to another and back takes ten times as long. */
const SMALL_CAPTION_BYTES = 64 * 1024;

/** An idle process is ended after this time. */
const IDLE_MS = 60_000;

/** A process is replaced after this many files, or when it keeps more memory than one that has decoded an ordinary image. */
const RECYCLE_JOBS = 2000;
const RECYCLE_RESIDENT_BYTES = 110_000_000;

/** The files of a process that used this many times the expected processor time are suspicious. */
const OVERRUN_FACTOR = 10;
const MIN_OVERRUN_SECONDS = 2;

/** Two processes at least: a file that takes long must not delay all others. */
const MIN_PROCESSES = 2;

export interface PoolOptions {
  /** By default one per core. */
  readonly processes?: number | undefined;
  /** Called with ProcessEnded when a process was ended by a file, and with other errors when none can be started. */
  readonly onError?: (error: unknown) => void;
  /** The program of the processes, and what they may use for a file; only tests set these. */
  readonly program?: string;
  readonly limitsOf?: typeof limitsOf;
}

interface Task {
  readonly job: InspectionJob;
  readonly limits: ProcessLimits;
  readonly readAt?: ReadAt | undefined;
  readonly request: SlotRequest;
}

/**
 * Inspects files in processes of their own, each with one file at a time, so that a hostile file harms nothing but itself:
 * it can't block this process, see its secrets, or use more than its share of memory and time.
 */
export class InspectionPool {
  readonly #program: string | undefined;
  readonly #onError: (error: unknown) => void;
  /** Files inspected at once. */
  readonly size: number;
  readonly #limitsOf: typeof limitsOf;
  readonly #scheduler: SlotScheduler;
  /** Aborts what runs or waits, one for each task. */
  readonly #stops = new Set<AbortController>();
  /** What each task may take, once `hurry` was called. */
  #maxTaskMs: number | undefined;
  #isClosed = false;
  /** All processes that have not ended. */
  readonly #processes = new Set<InspectionProcess>();
  /** Those that wait for a job, the one used last at the end, each with the timer that ends it. */
  readonly #idle = new Map<InspectionProcess, NodeJS.Timeout>();
  /** Slots in which other programs run. */
  #lentSlots = 0;

  constructor(options: PoolOptions = {}) {
    this.#program = options.program;
    this.#onError = options.onError ?? (() => {});
    this.#limitsOf = options.limitsOf ?? limitsOf;
    this.size = options.processes ?? Math.max(MIN_PROCESSES, availableParallelism());
    this.#scheduler = new SlotScheduler({ slots: this.size, now: () => performance.now() / 1000 });
  }

  /**
   * Inspects a file. If its inspection takes too long, needs too much memory or crashes, the result is a problem of the file.
   * Rejects with the signal's reason, with ServiceError `unavailable` if no process can be started, or if the bytes can't be
   * read.
   */
  async inspect(
    file: { readonly filename: string; readonly sizeBytes: number } & BlobContent,
    { accountId, role, isBackground, signal }: InspectorOptions,
  ): Promise<Inspection> {
    signal.throwIfAborted();
    const { filename, sizeBytes } = file;
    const isRemote = !('path' in file);
    const kind = mediaTypeOf(filename)?.kind ?? 'caption';
    if (!isRemote && kind === 'caption' && sizeBytes <= SMALL_CAPTION_BYTES) return inspectWith(file, {});
    const limits = this.#limitsOf({ kind, sizeBytes, isRemote });
    const expectedSeconds = expectedSecondsOf({ kind, sizeBytes, isRemote });
    const request = { accountId, isBackground, expectedSeconds, signal };
    const source = isRemote ? { remoteBytes: sizeBytes } : { path: file.path };
    const job: InspectionJob = { task: 'inspect', filename, asMask: role === 'mask', ...source };
    try {
      const answer = await this.#run({ job, limits, request, readAt: isRemote ? file.readAt : undefined });
      if (!('inspection' in answer)) throw new Error('An inspection process has answered with a thumbnail.');
      return answer.inspection;
    } catch (error) {
      if (!(error instanceof ProcessEnded)) throw error;
      const reason = exceededText(error.reason, limits);
      const advice = 'It may be damaged: export it again and upload the new file.';
      const message = `The inspection of ${shownFilename(filename)} ${reason}. ${advice}`;
      return { ok: false, problem: errorIn(filename, 'INSPECTION_FAILED', message) };
    }
  }

  /**
   * Makes a WebP of the image at `path`, with a longest side of `maxPixels`. Rejects if the image can't be decoded within the
   * limits of an inspection.
   */
  async thumbnail(
    { path, sizeBytes, maxPixels }: { path: string; sizeBytes: number; maxPixels: number },
    { accountId }: { accountId: string },
  ): Promise<Buffer> {
    const { signal } = new AbortController();
    const answer = await this.runOnImage({ task: 'thumbnail', path, maxPixels }, { sizeBytes, accountId, signal });
    if (!('thumbnail' in answer)) throw new Error('An inspection process has answered without a thumbnail.');
    return answer.thumbnail;
  }

  /** Does a job on a local image. `limits` are those of an inspection, unless others are given. */
  runOnImage(
    job: InspectionJob,
    options: { sizeBytes: number; accountId: string; signal: AbortSignal; limits?: ProcessLimits },
  ): Promise<Answer> {
    const { sizeBytes, accountId, signal } = options;
    const file = { kind: 'image', sizeBytes, isRemote: false } as const;
    const request = { accountId, expectedSeconds: expectedSecondsOf(file), signal };
    return this.#run({ job, limits: options.limits ?? this.#limitsOf(file), request });
  }

  /**
   * Runs another program in a slot of this pool, so that it waits its turn and no more programs run than there are slots.
   * `work` starts it with `spawnLimited`, observes it with `watchProcess`, and ends it when its signal is aborted, which
   * happens when that of the request is, or the pool is closed.
   */
  runInSlot<T>(request: SlotRequest, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#schedule(request, async (signal) => {
      this.#lentSlots++;
      const [idle] = this.#idle.keys();
      if (idle !== undefined && this.#processes.size + this.#lentSlots > this.size) this.#end(idle);
      return work(signal).finally(() => this.#lentSlots--);
    });
  }

  /** Runs `work` in a slot, with a signal that the request or `close` aborts. */
  async #schedule<T>(request: SlotRequest, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    request.signal.throwIfAborted();
    if (this.#isClosed) throw shuttingDown();
    const stop = new AbortController();
    const onAbort = () => stop.abort(request.signal.reason);
    request.signal.addEventListener('abort', onAbort, { once: true });
    this.#stops.add(stop);
    if (this.#maxTaskMs !== undefined) abortAfter(this.#maxTaskMs, stop);
    try {
      return await this.#scheduler.run({ ...request, signal: stop.signal }, () => work(stop.signal));
    } finally {
      this.#stops.delete(stop);
      request.signal.removeEventListener('abort', onAbort);
    }
  }

  /** As that of the scheduler. */
  isAwaited(request: SlotRequest, options: { isTurnOver: boolean }): boolean {
    return this.#scheduler.isAwaited(request, options);
  }

  /** The number of files that are being inspected or wait for a process. */
  get queuedFiles(): number {
    return this.#scheduler.size;
  }

  /**
   * Lets no task take longer than `maxMs`, its wait for a slot included: one in flight counts from now, and a later one from its
   * start. Those that take longer reject with ServiceError `shutting_down`.
   */
  hurry(maxMs: number): void {
    this.#maxTaskMs = maxMs;
    for (const stop of this.#stops) abortAfter(maxMs, stop);
  }

  /** Ends all processes at once. Inspections in flight reject with ServiceError `shutting_down`. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const stop of this.#stops) stop.abort(shuttingDown());
    const processes = [...this.#processes];
    for (const process of processes) this.#end(process);
    await Promise.all(processes.map(({ ended }) => ended));
  }

  #run(task: Task): Promise<Answer> {
    return this.#schedule(task.request, async (signal) => {
      const process = await this.#idleOrNew();
      const isNew = process.jobsDone === 0;
      try {
        return await this.#runIn(process, task, signal);
      } catch (error) {
        // An earlier file may have damaged the process, or left memory behind: a new one shows what this file does.
        const mayBeEarlier = error instanceof ProcessEnded && (error.reason === 'memory' || error.reason === 'crash');
        if (isNew || !mayBeEarlier) throw error;
        return this.#runIn(await this.#start(), task, signal);
      }
    });
  }

  async #runIn(
    process: InspectionProcess,
    { job, limits, readAt, request }: Task,
    signal: AbortSignal,
  ): Promise<Answer> {
    const earlierSeconds = process.cpuSeconds;
    let answer: Answer;
    try {
      signal.throwIfAborted();
      answer = await process.run(job, { limits, signal, readAt });
    } catch (error) {
      this.#end(process);
      if (error instanceof ProcessEnded) this.#onError(error);
      throw error;
    } finally {
      const seconds = process.cpuSeconds - earlierSeconds;
      const isOverrun = seconds > Math.max(MIN_OVERRUN_SECONDS, OVERRUN_FACTOR * request.expectedSeconds);
      if (isOverrun) this.#scheduler.distrust(request.accountId);
    }
    this.#release(process, 'residentBytes' in answer ? answer.residentBytes : 0);
    if ('error' in answer) throw errorOf(answer.error);
    return answer;
  }

  async #idleOrNew(): Promise<InspectionProcess> {
    const idle = [...this.#idle.keys()].at(-1);
    if (idle === undefined) return this.#start();
    this.#stopIdling(idle);
    return idle;
  }

  async #start(): Promise<InspectionProcess> {
    try {
      const process = await InspectionProcess.start({ limits: KERNEL_LIMITS, program: this.#program });
      this.#processes.add(process);
      void process.ended.then((error) => {
        if (this.#idle.has(process)) this.#onError(error);
        this.#stopIdling(process);
        this.#processes.delete(process);
      });
      if (this.#isClosed) this.#end(process);
      return process;
    } catch (error) {
      this.#onError(error);
      const message = 'The server could not start a process that inspects the file. Send it again.';
      throw new ServiceError('unavailable', message, { cause: error });
    }
  }

  /** Keeps a process for the next job, unless it is worn out. */
  #release(process: InspectionProcess, residentBytes: number): void {
    const isWorn =
      process.jobsDone >= RECYCLE_JOBS ||
      process.cpuSeconds >= RECYCLE_CPU_SECONDS ||
      residentBytes >= RECYCLE_RESIDENT_BYTES;
    if (isWorn || this.#isClosed) this.#end(process);
    else {
      const timer = setTimeout(() => this.#end(process), IDLE_MS);
      this.#idle.set(process, timer);
    }
  }

  #end(process: InspectionProcess): void {
    this.#stopIdling(process);
    process.kill();
  }

  #stopIdling(process: InspectionProcess): void {
    clearTimeout(this.#idle.get(process));
    this.#idle.delete(process);
  }
}

function abortAfter(ms: number, stop: AbortController): void {
  setTimeout(() => stop.abort(shuttingDown()), ms).unref();
}

function shuttingDown(): ServiceError {
  return new ServiceError('shutting_down', 'The server is shutting down. Send the file again.');
}

/** The error that an inspection process has thrown, with its code. */
function errorOf({ name, message, code }: { name: string; message: string; code?: string }): Error {
  const error = new Error(message);
  error.name = name;
  return code === undefined ? error : Object.assign(error, { code });
}
