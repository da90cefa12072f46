import type { ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import { availableParallelism } from 'node:os';
import { untilAborted, withAnySignal } from '../../abort-signals.js';
import type { Appearance } from '../../dataset/duplicates/perceptual-hash.js';
import { ServiceError } from '../../dataset/errors.js';
import type { ExaminedContent } from '../../dataset/fix/examine-content.js';
import { inspectWith, shownFilename } from '../../dataset/inspect/inspect.js';
import type { MadeThumbnail, ThumbnailSource } from '../../dataset/inspect/image/thumbnail.js';
import type { Inspection } from '../../dataset/inspect/inspection.js';
import { mediaTypeOf } from '../../dataset/media.js';
import { errorIn } from '../../dataset/problems.js';
import { FairQueue } from '../../storage/limits.js';
import { programFile } from '../../version.js';
import type { InspectorOptions } from '../dependencies.js';
import {
  CpuBudgetSpent,
  exceededText,
  KERNEL_LIMITS,
  type LimitName,
  limitsOf,
  type ProcessLimits,
  RECYCLE_CPU_SECONDS,
  spawnLimited,
  THUMBNAIL_LIMITS,
  watchProcess,
} from './limited-process.js';

/** Passing a small caption to a process takes ten times as long as inspecting it here. */
const SMALL_CAPTION_BYTES = 64 * 1024;

const IDLE_MS = 60_000;

/** A process is replaced after so many files, or when it keeps more memory than an ordinary image needs. */
const RECYCLE_JOBS = 2000;
const RECYCLE_RESIDENT_BYTES = 110_000_000;

/** Jobs take all but one. */
const MIN_PROCESSES = 2;

const PRIORITY = { client: 1, job: 0 } as const;

export interface PoolOptions {
  /** By default one per core. */
  readonly processes?: number | undefined;
  /** Called with ProcessEnded when a file has ended a process, and with other errors when none can be started. */
  readonly onError?: (error: unknown) => void;
  /** Only tests set these. */
  readonly program?: string;
  readonly limitsOf?: typeof limitsOf;
}

export interface SlotRequest {
  readonly accountId: string;
  /** Jobs never take the last slot. Of them, one whose outcome is awaited has the turn of a client. */
  readonly isBackground?: boolean | 'awaited' | undefined;
  /** Runs only while no other such task does. */
  readonly needsMuchMemory?: boolean | undefined;
  /** Ends the wait; a task that runs ends itself. */
  readonly signal: AbortSignal;
}

export interface RunOptions extends SlotRequest {
  readonly limits: ProcessLimits;
  /** True if the limit of processor time is the one for which a client waits. */
  readonly isBudget?: boolean;
}

/**
 * Inspects files in processes, each with one file at a time, so that a hostile file can't block this process, see its secrets, or
 * use more than its share of memory and time.
 */
export class InspectionPool {
  readonly size: number;
  readonly #options: PoolOptions;
  readonly #slots: FairQueue;
  readonly #jobSlots: FairQueue;
  readonly #muchMemory = new FairQueue(1);
  /** One for each task that runs or waits. */
  readonly #stops = new Set<AbortController>();
  /** What each task may take, once `hurry` was called. */
  #maxTaskMs: number | undefined;
  #isClosed = false;
  readonly #processes = new Set<InspectionProcess>();
  /** The one used last at the end, each with the timer that ends it. */
  readonly #idle = new Map<InspectionProcess, NodeJS.Timeout>();
  /** Slots with other programs. */
  #lentSlots = 0;

  constructor(options: PoolOptions = {}) {
    this.#options = options;
    this.size = options.processes ?? Math.max(MIN_PROCESSES, availableParallelism());
    this.#slots = new FairQueue(this.size);
    this.#jobSlots = new FairQueue(jobSlotsOf(this.size));
  }

  /**
   * Inspects a file. One that takes too long, needs too much memory or crashes its process has a problem. Rejects with the
   * signal's reason, CpuBudgetSpent, and ServiceError `unavailable` if no process can be started.
   */
  async inspect(
    file: { readonly filename: string; readonly sizeBytes: number; readonly path: string },
    { accountId, role, isBackground, readsClipFacts = true, maxSeconds = Infinity, signal }: InspectorOptions,
  ): Promise<Inspection> {
    signal.throwIfAborted();
    const { filename, sizeBytes } = file;
    const kind = mediaTypeOf(filename)?.kind ?? 'caption';
    if (kind === 'caption' && sizeBytes <= SMALL_CAPTION_BYTES) return inspectWith(file, {});
    const { maxCpuSeconds, ...others } = (this.#options.limitsOf ?? limitsOf)({ kind, sizeBytes });
    const limits = { ...others, maxCpuSeconds: Math.min(maxCpuSeconds, maxSeconds) };
    const asMask = role === 'mask';
    const job = { task: 'inspect', path: file.path, filename, asMask, readsClipFacts } as const;
    const isBudget = maxSeconds < maxCpuSeconds;
    try {
      return await this.run(job, { accountId, isBackground, signal, limits, isBudget });
    } catch (error) {
      if (!(error instanceof ProcessEnded)) throw error;
      const reason = exceededText(error.reason, limits);
      const advice = 'It may be damaged: export it again and upload the new file.';
      const message = `The inspection of ${shownFilename(filename)} ${reason}. ${advice}`;
      return { ok: false, problem: errorIn(filename, 'INSPECTION_FAILED', message) };
    }
  }

  /** Makes a WebP with a longest side of `maxPixels`. Rejects if the image can't be decoded in a few seconds. */
  async thumbnail(image: ThumbnailSource, options: Omit<SlotRequest, 'needsMuchMemory'>): Promise<MadeThumbnail> {
    const made = await this.run({ task: 'thumbnail', ...image }, { ...options, limits: THUMBNAIL_LIMITS });
    return { ...made, webp: Buffer.from(made.webp, 'base64') };
  }

  /** Makes an upright JPEG in Base64 without metadata, with a longest side of `maxPixels`, for which no client waits. Rejects as `thumbnail`. */
  picture(
    image: { readonly path: string; readonly maxPixels: number },
    options: Pick<SlotRequest, 'accountId' | 'signal'>,
  ): Promise<string> {
    return this.run({ task: 'picture', ...image }, { ...options, isBackground: true, limits: THUMBNAIL_LIMITS });
  }

  /**
   * Runs another program in a slot. `work` starts it with `spawnLimited`, observes it with `watchProcess`, and ends it when its
   * signal fires, for the request or for `close`.
   */
  runInSlot<T>(request: SlotRequest, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return this.#schedule(request, async (signal) => {
      this.#lentSlots++;
      const [idle] = this.#idle.keys();
      if (idle !== undefined && this.#processes.size + this.#lentSlots > this.size) this.#end(idle);
      return work(signal).finally(() => this.#lentSlots--);
    });
  }

  async #schedule<T>(request: SlotRequest, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (this.#isClosed) throw shuttingDown();
    const { accountId, isBackground, needsMuchMemory } = request;
    const priority = isBackground === true ? PRIORITY.job : PRIORITY.client;
    // In this order, so that no two tasks wait for each other.
    const queues = [...(needsMuchMemory ? [this.#muchMemory] : []), ...(isBackground ? [this.#jobSlots] : [])];
    const stop = new AbortController();
    this.#stops.add(stop);
    if (this.#maxTaskMs !== undefined) abortAfter(this.#maxTaskMs, stop);
    try {
      return await withAnySignal([request.signal, stop.signal], (signal) =>
        [...queues, this.#slots].reduceRight(
          (run, queue) => () => queue.run(accountId, run, { signal, priority }),
          () => work(signal),
        )(),
      );
    } finally {
      this.#stops.delete(stop);
    }
  }

  /** Files that are inspected or wait. */
  get queuedFiles(): number {
    return this.#stops.size;
  }

  /** Lets no task take longer: those in flight from now, later ones from their start. They reject with ServiceError `shutting_down`. */
  hurry(maxMs: number): void {
    this.#maxTaskMs = maxMs;
    for (const stop of this.#stops) abortAfter(maxMs, stop);
  }

  /** Ends all processes. Inspections in flight reject with ServiceError `shutting_down`. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const stop of this.#stops) stop.abort(shuttingDown());
    const processes = [...this.#processes];
    for (const process of processes) this.#end(process);
    await Promise.all(processes.map(({ ended }) => ended));
  }

  /** @throws ProcessEnded, CpuBudgetSpent, and as `inspect` */
  run<T extends Task>(job: InspectionJob & { readonly task: T }, options: RunOptions): Promise<Results[T]> {
    return this.#schedule(options, async (signal) => {
      const idle = [...this.#idle.keys()].at(-1);
      const runIn = async (process: InspectionProcess) =>
        (await this.#runIn(process, job, { ...options, signal })) as Results[T];
      if (idle === undefined) return runIn(await this.#start());
      this.#stopIdling(idle);
      try {
        return await runIn(idle);
      } catch (error) {
        // An earlier file may have damaged the process, or left memory behind.
        const mayBeEarlier = error instanceof ProcessEnded && (error.reason === 'memory' || error.reason === 'crash');
        if (!mayBeEarlier) throw error;
        return runIn(await this.#start());
      }
    });
  }

  async #runIn(process: InspectionProcess, job: InspectionJob, { isBudget, ...options }: RunOptions) {
    let answer: Answer;
    try {
      options.signal.throwIfAborted();
      answer = await process.run(job, options);
    } catch (error) {
      this.#end(process);
      if (!(error instanceof ProcessEnded)) throw error;
      if (isBudget && error.reason === 'time') throw new CpuBudgetSpent();
      this.#options.onError?.(error);
      throw error;
    }
    this.#release(process, answer.residentBytes);
    if ('error' in answer) throw Object.assign(new Error(answer.error.message), answer.error);
    if (answer.result === undefined) throw new Error('An inspection process has answered without a result.');
    return answer.result;
  }

  async #start(): Promise<InspectionProcess> {
    try {
      const process = await InspectionProcess.start(this.#options.program);
      this.#processes.add(process);
      void process.ended.then((error) => {
        if (this.#idle.has(process)) this.#options.onError?.(error);
        this.#stopIdling(process);
        this.#processes.delete(process);
      });
      return process;
    } catch (error) {
      this.#options.onError?.(error);
      const message = 'The server could not start a process that inspects the file. Send it again.';
      throw new ServiceError('unavailable', message, { cause: error });
    }
  }

  /** Keeps a process unless it is worn out. */
  #release(process: InspectionProcess, residentBytes: number): void {
    const { jobsDone, cpuSeconds } = process;
    const isFresh = jobsDone < RECYCLE_JOBS && cpuSeconds < RECYCLE_CPU_SECONDS;
    if (!isFresh || residentBytes >= RECYCLE_RESIDENT_BYTES || this.#isClosed) this.#end(process);
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

export function jobSlotsOf(slots: number): number {
  return Math.max(1, slots - 1);
}

function abortAfter(ms: number, stop: AbortController): void {
  setTimeout(() => stop.abort(shuttingDown()), ms).unref();
}

function shuttingDown(): ServiceError {
  return new ServiceError('shutting_down', 'The server is shutting down. Send the file again.');
}

const MAX_START_MS = 30_000;

/** Longer messages come only from a process that no longer runs its program. */
const MAX_MESSAGE_CHARACTERS = 16 << 20;

/** The end of standard error says why V8 or the C++ runtime ended the process. */
const KEPT_ERROR_CHARACTERS = 4000;

const PROGRAM = programFile('service/inspection/inspect-in-process');

/** The process does one thing at a time. */
const V8_FLAGS = ['--max-old-space-size=64', '--max-semi-space-size=4', '--v8-pool-size=1', '--single-threaded-gc'];

/** One arena keeps glibc from holding freed memory for each thread; one thread of libuv decodes. */
const ENVIRONMENT = { MALLOC_ARENA_MAX: '2', UV_THREADPOOL_SIZE: '1' };

/** A line of JSON. */
export type InspectionJob =
  | {
      readonly task: 'inspect';
      readonly path: string;
      readonly filename: string;
      readonly asMask: boolean;
      /** False if a decoder reads the facts of a clip afterwards. */
      readonly readsClipFacts: boolean;
    }
  | ({ readonly task: 'thumbnail' } & ThumbnailSource)
  | { readonly task: 'picture'; readonly path: string; readonly maxPixels: number }
  | { readonly task: 'examine'; readonly path: string }
  | { readonly task: 'convert'; readonly path: string; readonly target: string };

/** What a process makes, by task. */
export interface Results {
  readonly inspect: Inspection;
  /** The WebP in Base64. */
  readonly thumbnail: Appearance & { readonly webp: string };
  /** A JPEG in Base64. */
  readonly picture: string;
  readonly examine: ExaminedContent;
  readonly convert: true;
}

type Task = keyof Results;

type Answer = (
  | { readonly result: Results[Task] }
  /** Not the fault of the file, or a file that has no thumbnail. */
  | { readonly error: { readonly name: string; readonly message: string; readonly code?: string } }
) & { readonly residentBytes: number };

/** A line of JSON. A process has one request at most. */
export type ProcessMessage =
  /** Sent once, when the code is loaded. */
  | { readonly ready: true }
  /** The file needs more memory than its decoder could get. */
  | { readonly outOfMemory: true }
  | Answer;

/** The process ended before it answered, for a limit or by itself. */
export class ProcessEnded extends Error {
  override readonly name = 'ProcessEnded';
  readonly reason: LimitName | 'crash';

  constructor(reason: LimitName | 'crash', message: string) {
    super(message);
    this.reason = reason;
  }
}

class InspectionProcess {
  readonly ended: Promise<ProcessEnded>;
  jobsDone = 0;
  /** The processor time of its jobs, as observed. */
  cpuSeconds = 0;
  readonly #child: ChildProcess;
  readonly #socket: Socket;
  #listener: { onMessage: (message: ProcessMessage) => void; onEnd: (error: ProcessEnded) => void } | undefined;
  #killedFor: LimitName | undefined;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#socket = child.stdio[3] as Socket;
    let errorText = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      errorText = (errorText + text).slice(-KEPT_ERROR_CHARACTERS);
    });
    child.on('error', () => {});
    // The process may end while it is sent something. `close` follows.
    this.#socket.on('error', () => {});
    let line = '';
    this.#socket.setEncoding('utf8').on('data', (text: string) => {
      line += text;
      if (line.length > MAX_MESSAGE_CHARACTERS) return this.kill();
      if (!text.endsWith('\n')) return;
      const received = line;
      line = '';
      this.#receive(received);
    });
    this.ended = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        const error = endOf({ code, signal, errorText, killedFor: this.#killedFor });
        this.#listener?.onEnd(error);
        resolve(error);
      });
    });
  }

  /** Starts a process that is ready for a job. @throws Error if it can't be started, or ends before */
  static async start(program = PROGRAM): Promise<InspectionProcess> {
    const child = spawnLimited([process.execPath, ...V8_FLAGS, program], {
      limits: KERNEL_LIMITS,
      env: ENVIRONMENT,
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    });
    // After a failed spawn some pipes don't exist.
    if (child.pid === undefined) throw await new Promise<Error>((resolve) => child.once('error', resolve));
    const started = new InspectionProcess(child);
    const timer = setTimeout(() => started.kill(), MAX_START_MS);
    try {
      await new Promise<ProcessMessage>((onMessage, onEnd) => {
        started.#listener = { onMessage, onEnd };
      });
    } finally {
      clearTimeout(timer);
      started.#listener = undefined;
    }
    return started;
  }

  /** Does a job. After an error, the process must be killed. @throws ProcessEnded; the signal's reason */
  async run(job: InspectionJob, { limits, signal }: { limits: ProcessLimits; signal: AbortSignal }): Promise<Answer> {
    const watch = watchProcess(this.#child, limits, (limit) => this.kill(limit));
    try {
      const answered = new Promise<Answer>((resolve, reject) => {
        const onMessage = (message: ProcessMessage) => {
          if ('outOfMemory' in message) reject(new ProcessEnded('memory', 'a decoder got no more memory'));
          else if (!('ready' in message)) resolve(message);
        };
        this.#listener = { onMessage, onEnd: reject };
        this.#socket.write(`${JSON.stringify(job)}\n`);
      });
      const answer = await untilAborted(answered, signal);
      this.jobsDone++;
      return answer;
    } finally {
      this.#listener = undefined;
      this.cpuSeconds += watch.stop();
    }
  }

  kill(limit?: LimitName): void {
    this.#killedFor ??= limit;
    this.#child.kill('SIGKILL');
  }

  #receive(line: string): void {
    try {
      this.#listener?.onMessage(JSON.parse(line));
    } catch {
      this.kill();
    }
  }
}

function endOf(end: {
  code: number | null;
  signal: string | null;
  errorText: string;
  killedFor: LimitName | undefined;
}): ProcessEnded {
  const how = end.signal === null ? `exited with ${end.code}` : `ended by ${end.signal}`;
  const text = end.errorText.trim();
  const message = `inspection process ${how}${text === '' ? '' : `: ${text}`}`;
  // Node 24 reports a buffer with "Failed to allocate memory", and every version a string.
  const isOutOfMemory = /out of memory|bad_alloc|allocation failed|failed to allocate/i.test(text);
  return new ProcessEnded(end.killedFor ?? (isOutOfMemory ? 'memory' : 'crash'), message);
}
