import type { ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import { programFile } from '../../program-file.js';
import { CpuBudgetSpent } from '../limits/cpu-budget.js';
import {
  type ByteRange,
  FRAME,
  FrameReader,
  frameHeader,
  type InspectionJob,
  type JobResult,
  jsonFrame,
  type ReceivedFrame,
} from './frames.js';
import { type KernelLimits, spawnLimited } from './limited-process.js';
import { type LimitName, type ProcessLimits, watchProcess } from './process-watch.js';

/** A process that does not begin to work within this time does not start at all. */
const MAX_START_MS = 30_000;

/** Longer frames, and more bytes requested at once, come only from a process that no longer runs its program. */
const MAX_FRAME_BYTES = 16 << 20;
const MAX_READ_BYTES = 1 << 20;

/** The end of what a process writes to standard error, which says why V8 or the C++ runtime ended it. */
const KEPT_ERROR_CHARACTERS = 4000;

const PROGRAM = programFile('service/inspection/inspect-in-process');

/** Small spaces, and fewer threads: the process does one thing at a time. */
const V8_FLAGS = ['--max-old-space-size=64', '--max-semi-space-size=4', '--v8-pool-size=1', '--single-threaded-gc'];

/** One arena keeps glibc from holding freed memory for each thread; one thread of libuv decodes. */
const ENVIRONMENT = { MALLOC_ARENA_MAX: '2', UV_THREADPOOL_SIZE: '1' };

export type ReadAt = (start: number, end: number, signal: AbortSignal) => Promise<Buffer>;

/** The process ended before it answered: it was killed for exceeding a limit, or `crash`. */
export class ProcessEnded extends Error {
  override readonly name = 'ProcessEnded';
  readonly reason: LimitName | 'crash';

  constructor(reason: LimitName | 'crash', message: string) {
    super(message);
    this.reason = reason;
  }
}

export type Answer = Exclude<JobResult, { outOfMemory: true }> | { readonly thumbnail: Buffer };

interface RunningJob {
  readonly onFrame: (frame: ReceivedFrame) => void;
  readonly onEnd: (error: ProcessEnded) => void;
}

/** The reason of reads that go on when their job has ended; without one, each abort makes a DOMException. */
const ENDED = new Error('The job has ended.');

/** A child process that inspects files, one at a time. */
export class InspectionProcess {
  /** Settles when the process has ended. */
  readonly ended: Promise<ProcessEnded>;
  /** Jobs that it has answered. */
  jobsDone = 0;
  /** The processor time of its jobs, as far as it was observed. */
  cpuSeconds = 0;
  readonly #child: ChildProcess;
  readonly #socket: Socket;
  #job: RunningJob | undefined;
  #killedFor: LimitName | undefined;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#socket = child.stdio[3] as Socket;
    let errorText = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      errorText = (errorText + text).slice(-KEPT_ERROR_CHARACTERS);
    });
    // The process may end while something is sent to it. `close` follows.
    this.#socket.on('error', () => {});
    const reader = new FrameReader(MAX_FRAME_BYTES);
    this.#socket.on('data', (bytes) => {
      try {
        for (const frame of reader.push(bytes)) this.#job?.onFrame(frame);
      } catch {
        this.kill();
      }
    });
    this.ended = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        const error = endOf({ code, signal, errorText, killedFor: this.#killedFor });
        this.#job?.onEnd(error);
        resolve(error);
      });
    });
  }

  /**
   * Starts a process that is ready for a job.
   *
   * @param options.program tests replace the program
   * @throws Error if it can't be started, or ends before it is ready
   */
  static async start({ limits, program = PROGRAM }: { limits: KernelLimits; program?: string | undefined }) {
    const command = [process.execPath, ...V8_FLAGS, program] as const;
    const child = spawnLimited([...command], {
      limits,
      env: ENVIRONMENT,
      stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    });
    // After a failed spawn some of the pipes don't exist.
    if (child.pid === undefined) {
      throw await new Promise<Error>((resolve) => child.once('error', resolve));
    }
    child.on('error', () => {});
    const started = new InspectionProcess(child);
    const timer = setTimeout(() => started.kill(), MAX_START_MS);
    try {
      await started.#nextFrame();
    } finally {
      clearTimeout(timer);
    }
    return started;
  }

  #nextFrame(): Promise<ReceivedFrame> {
    return new Promise((resolve, reject) => {
      const settle = () => {
        this.#job = undefined;
      };
      this.#job = {
        onFrame: (frame) => {
          settle();
          resolve(frame);
        },
        onEnd: (error) => {
          settle();
          reject(error);
        },
      };
    });
  }

  /**
   * Does a job. An abort of the signal, or a failure of `readAt`, kills the process.
   *
   * @param options.readAt reads the file of a job with `remoteBytes`
   * @throws ProcessEnded, CpuBudgetSpent, the signal's reason, or the error of `readAt`. The process is then gone.
   */
  run(
    job: InspectionJob,
    options: { limits: ProcessLimits; signal: AbortSignal; readAt?: ReadAt | undefined },
  ): Promise<Answer> {
    const { limits, signal, readAt } = options;
    const reading = new AbortController();
    let isReading = false;
    return new Promise<Answer>((resolve, reject) => {
      const watch = watchProcess(this.#child.pid ?? 0, { ...limits, isWaitingForUs: () => isReading }, (limit) => {
        if (limit === 'budget') fail(new CpuBudgetSpent());
        else this.kill(limit);
      });
      const settle = () => {
        this.#job = undefined;
        this.cpuSeconds += watch.cpuSeconds();
        watch.stop();
        signal.removeEventListener('abort', onAbort);
        reading.abort(ENDED);
      };
      const fail = (error: unknown) => {
        settle();
        this.kill();
        reject(error);
      };
      const onAbort = () => fail(signal.reason);
      const serve = async (range: ByteRange) => {
        const [start, end] = range;
        if (readAt === undefined || !isRange(range))
          throw new Error('The process has requested bytes that it may not read.');
        isReading = true;
        const bytes = await readAt(start, end, reading.signal);
        if (bytes.length !== end - start) throw new Error(`Read ${bytes.length} bytes instead of ${end - start}.`);
        isReading = false;
        this.#socket.write(frameHeader(FRAME.bytes, bytes.length));
        this.#socket.write(bytes);
      };
      this.#job = {
        onFrame: (frame) => {
          if (frame.type === FRAME.read) {
            void serve(JSON.parse(frame.payload.toString())).catch((error) => {
              if (!reading.signal.aborted) fail(error);
            });
            return;
          }
          const answer = answerIn(frame);
          if (answer === undefined) return fail(new ProcessEnded('memory', 'a decoder got no more memory'));
          settle();
          this.jobsDone++;
          resolve(answer);
        },
        onEnd: (error) => {
          settle();
          reject(error);
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#socket.write(jsonFrame(FRAME.job, job));
      if (signal.aborted) onAbort();
    });
  }

  /** Ends the process at once. */
  kill(limit?: LimitName): void {
    this.#killedFor ??= limit;
    this.#child.kill('SIGKILL');
  }
}

/** `undefined` if the process ran out of memory. @throws Error if it has sent nonsense */
function answerIn({ type, payload }: ReceivedFrame): Answer | undefined {
  if (type === FRAME.thumbnail) return { thumbnail: payload };
  const result = JSON.parse(payload.toString()) as JobResult;
  return 'outOfMemory' in result ? undefined : result;
}

function isRange([start, end]: ByteRange): boolean {
  const isInOrder = Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && end > start;
  return isInOrder && end - start <= MAX_READ_BYTES;
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
  if (end.killedFor !== undefined) return new ProcessEnded(end.killedFor, message);
  // "Failed to allocate memory" is how Node 24 reports a buffer, and every version a string.
  const isOutOfMemory = /out of memory|bad_alloc|allocation failed|failed to allocate/i.test(text);
  return new ProcessEnded(isOutOfMemory ? 'memory' : 'crash', message);
}
