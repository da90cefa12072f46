import type { ChildProcess } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Appearance } from '../../dataset/duplicates/perceptual-hash.js';
import type { ThumbnailSource } from '../../dataset/inspect/image/thumbnail.js';
import type { ExaminedContent } from '../../dataset/fix/examine-content.js';
import type { Inspection } from '../../dataset/inspect/inspection.js';
import { programFile } from '../../version.js';
import { KERNEL_LIMITS, type LimitName, type ProcessLimits, spawnLimited, watchProcess } from './limited-process.js';

/** The limit of a start. */
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

export type Answer = (
  | { readonly inspection: Inspection }
  | {
      readonly thumbnail: Appearance & {
        /** Base64. */
        readonly webp: string;
      };
    }
  /** A JPEG, Base64. */
  | { readonly picture: string }
  | { readonly examined: ExaminedContent }
  | { readonly converted: true }
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

export class InspectionProcess {
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
      if (!line.endsWith('\n')) return;
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

  /** Does a job, or kills the process. @throws ProcessEnded; the signal's reason */
  async run(job: InspectionJob, { limits, signal }: { limits: ProcessLimits; signal: AbortSignal }): Promise<Answer> {
    let onAbort = () => {};
    const watch = watchProcess(this.#child, limits, (limit) => this.kill(limit));
    try {
      const answer = await new Promise<Answer>((resolve, reject) => {
        onAbort = () => reject(signal.reason);
        const onMessage = (message: ProcessMessage) => {
          if ('outOfMemory' in message) reject(new ProcessEnded('memory', 'a decoder got no more memory'));
          else if (!('ready' in message)) resolve(message);
        };
        this.#listener = { onMessage, onEnd: reject };
        signal.addEventListener('abort', onAbort, { once: true });
        this.#socket.write(`${JSON.stringify(job)}\n`);
        if (signal.aborted) onAbort();
      });
      this.jobsDone++;
      return answer;
    } catch (error) {
      this.kill();
      throw error;
    } finally {
      this.#listener = undefined;
      this.cpuSeconds += watch.stop();
      signal.removeEventListener('abort', onAbort);
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
