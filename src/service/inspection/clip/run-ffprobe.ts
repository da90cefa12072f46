import { constants, setPriority } from 'node:os';
import { ServiceError } from '../../../dataset/errors.js';
import { type CpuBudget, CpuBudgetSpent } from '../../limits/cpu-budget.js';
import { spawnLimited } from '../limited-process.js';
import { type LimitName, watchProcess } from '../process-watch.js';
import { type Ffmpeg, ffprobeOf } from './ffmpeg.js';

const MEGABYTE = 1_000_000;

/** What a decoder may allocate between two comparisons of its memory with the limit. */
const SPARE_MEGABYTES = 150;

/** The stack of each thread counts as allocated. The default of 8 MiB would be half of what a small clip needs. */
const STACK_KILOBYTES = 2048;

/** Its threads wait for the disk only. */
const MAX_SLEEP_SECONDS = 120;

/** The description of one track has less than a kilobyte. */
const MAX_OUTPUT_CHARACTERS = 64 * 1024;
const MAX_MESSAGES = 1000;
const MAX_LINE_CHARACTERS = 1000;

/** Tags, which may hold megabytes, are printed as `[info]`. A decoder reports there, too, what it conceals in a picture. */
const LEFT_OUT = /\[(?:info|warning)\](?! +Stream #| Unsupported codec| concealing )/;

export interface RunLimits {
  /** What ffprobe may allocate, and hold. */
  readonly maxMegabytes: number;
  readonly maxCpuSeconds: number;
  readonly budget?: CpuBudget | undefined;
  readonly signal: AbortSignal;
}

export interface FfprobeEnd {
  /** `null` if a signal ended it. */
  readonly exitCode: number | null;
  /** The limit that it exceeded and was killed for; `crash` if another signal ended it. */
  readonly ended: LimitName | 'crash' | undefined;
  readonly output: string;
  /** The first messages of errors, and the list of streams. They vary from run to run, so they are searched and never shown. */
  readonly messages: readonly string[];
}

/**
 * Runs ffprobe with the lowest priority, without environment and input, and with limits of memory and processor time.
 *
 * @throws the signal's reason, when ffprobe has ended; CpuBudgetSpent; ServiceError `unavailable` if it can't be started
 */
export async function runFfprobe({ path }: Ffmpeg, args: readonly string[], limits: RunLimits): Promise<FfprobeEnd> {
  const { maxMegabytes, maxCpuSeconds, budget, signal } = limits;
  signal.throwIfAborted();
  // Above what it may hold: a decoder that gets no memory often calls the clip invalid.
  const maxDataBytes = (maxMegabytes + SPARE_MEGABYTES) * MEGABYTE;
  const stack = `ulimit -s ${STACK_KILOBYTES} 2>/dev/null; exec "$@"`;
  const child = spawnLimited(['/bin/sh', '-c', stack, 'sh', ffprobeOf(path), '-hide_banner', ...args], {
    limits: { maxDataBytes, maxCpuSeconds: Math.ceil(maxCpuSeconds) + 5 },
    env: { LC_ALL: 'C', AV_LOG_FORCE_NOCOLOR: '1', MALLOC_ARENA_MAX: '2' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const { pid, stdout, stderr } = child;
  if (pid === undefined || stdout === null || stderr === null) {
    throw cannotStart(await new Promise((resolve) => child.once('error', resolve)));
  }
  child.on('error', () => {});
  lowestPriority(pid);
  let output = '';
  const messages: string[] = [];
  stdout.setEncoding('utf8').on('data', (text: string) => {
    output = (output + text).slice(0, MAX_OUTPUT_CHARACTERS);
  });
  const keep = (line: string) => {
    if (messages.length < MAX_MESSAGES && !LEFT_OUT.test(line)) messages.push(line);
  };
  stderr.on('data', byLine(keep));
  let exceeded: LimitName | 'budget' | undefined;
  const kill = () => child.kill('SIGKILL');
  const observed = {
    maxBytes: maxMegabytes * MEGABYTE,
    maxCpuSeconds,
    budget,
    maxSleepSeconds: MAX_SLEEP_SECONDS,
    maxWallSeconds: 3 * maxCpuSeconds + 60,
  };
  const watch = watchProcess(pid, observed, (limit) => {
    exceeded = limit;
    kill();
  });
  signal.addEventListener('abort', kill, { once: true });
  if (signal.aborted) kill();
  const { code, by } = await new Promise<{ code: number | null; by: NodeJS.Signals | null }>((resolve) => {
    child.once('close', (code, by) => resolve({ code, by }));
  });
  watch.stop();
  signal.removeEventListener('abort', kill);
  signal.throwIfAborted();
  if (exceeded === 'budget') throw new CpuBudgetSpent();
  if (code === 126 || code === 127) throw cannotStart(new Error(messages.join('\n')));
  return { exitCode: code, ended: endedBy({ by, exceeded, messages }), output, messages };
}

function endedBy(end: {
  by: NodeJS.Signals | null;
  exceeded: LimitName | undefined;
  messages: readonly string[];
}): FfprobeEnd['ended'] {
  const { by, exceeded, messages } = end;
  if (exceeded !== undefined) return exceeded;
  if (isOutOfMemory(messages)) return 'memory';
  if (by === 'SIGKILL') return 'time';
  return by === null ? undefined : 'crash';
}

/** By the texts of ENOMEM, which the limit of the kernel causes. A library written in C++ or Rust aborts instead. */
function isOutOfMemory(messages: readonly string[]): boolean {
  const says = (pattern: RegExp) => messages.some((line) => pattern.test(line));
  if (says(/Cannot allocate memory|bad_alloc|memory allocation of/)) return true;
  // Said of impossible sizes, too.
  return says(/get_buffer\(\) failed/) && !says(/parameters invalid/);
}

function lowestPriority(pid: number): void {
  try {
    setPriority(pid, constants.priority.PRIORITY_LOW);
  } catch {
    // It has ended already.
  }
}

function cannotStart(cause: unknown): ServiceError {
  const message = 'The server could not start ffprobe to decode the clip. Send it again.';
  return new ServiceError('unavailable', message, { cause });
}

/** Splits bytes into lines, and cuts those that are too long. */
function byLine(onLine: (line: string) => void): (bytes: Buffer) => void {
  let rest = '';
  return (bytes) => {
    const lines = (rest + bytes.toString('latin1')).split('\n');
    rest = (lines.pop() ?? '').slice(0, MAX_LINE_CHARACTERS);
    for (const line of lines) onLine(line.slice(0, MAX_LINE_CHARACTERS));
  };
}
