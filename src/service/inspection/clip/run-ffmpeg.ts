import { constants, setPriority } from 'node:os';
import { ServiceError } from '../../../dataset/errors.js';
import type { VideoFormat } from '../../../dataset/media.js';
import { type CpuBudget, CpuBudgetSpent } from '../../limits/cpu-budget.js';
import { spawnLimited } from '../limited-process.js';
import { type LimitName, watchProcess } from '../process-watch.js';
import type { Ffmpeg } from './ffmpeg.js';

const MEGABYTE = 1_000_000;

/** What a decoder may allocate between two comparisons of its memory with the limit. */
const SPARE_MEGABYTES = 150;

/** The stack of each of ffmpeg's threads counts as allocated. The default of 8 MiB would be half of what a small clip needs. */
const STACK_KILOBYTES = 2048;

/** Its threads wait for the disk only. */
const MAX_SLEEP_SECONDS = 120;

const KEPT_ERROR_CHARACTERS = 64 * 1024;
const MAX_LINE_CHARACTERS = 1000;

/** The name of ffmpeg's demuxer for each container. It is named so that no file is read as a playlist. */
const DEMUXERS: Record<VideoFormat, string> = {
  mp4: 'mov',
  mov: 'mov',
  webm: 'matroska',
  mkv: 'matroska',
  avi: 'avi',
  wmv: 'asf',
  flv: 'flv',
};

/** A local clip and the container that was found in it. */
export interface ClipFile {
  readonly path: string;
  readonly format: VideoFormat;
}

export interface RunLimits {
  /** What ffmpeg may allocate, and hold. */
  readonly maxMegabytes: number;
  readonly maxCpuSeconds: number;
  readonly budget?: CpuBudget | undefined;
  readonly signal: AbortSignal;
}

interface FfmpegOptions extends RunLimits {
  readonly onOutput: (bytes: Buffer) => void;
}

export interface FfmpegEnd {
  /** `null` if a signal ended it. */
  readonly exitCode: number | null;
  /** The limit that it exceeded and was killed for; `crash` if another signal ended it. */
  readonly ended: LimitName | 'crash' | undefined;
  /** The end of its messages. They vary from run to run, so they are searched and never shown. */
  readonly errorText: string;
}

/**
 * The options that open a clip: only its own container, only this file, its first video track. Edit lists are ignored, so
 * that frames outside of them are decoded too. No data is taken from other files that the clip names.
 */
export function inputOptions({ path, format }: ClipFile): string[] {
  const demuxer = DEMUXERS[format];
  const ofMov = demuxer === 'mov' ? ['-ignore_editlist', '1', '-enable_drefs', '0', '-use_absolute_path', '0'] : [];
  return [
    ...['-protocol_whitelist', 'file', '-format_whitelist', demuxer, '-f', demuxer, ...ofMov],
    ...['-threads', '1', '-noautorotate', '-an', '-sn', '-dn', '-i', `file:${path}`, '-map', '0:V:0'],
  ];
}

/**
 * Runs ffmpeg with the lowest priority, without environment and input, and with limits of memory and processor time.
 *
 * @param options.onOutput receives its standard output
 * @throws the signal's reason, when ffmpeg has ended; CpuBudgetSpent; ServiceError `unavailable` if it can't be started
 */
export async function runFfmpeg({ path }: Ffmpeg, args: readonly string[], options: FfmpegOptions): Promise<FfmpegEnd> {
  const { maxMegabytes, maxCpuSeconds, budget, signal, onOutput } = options;
  signal.throwIfAborted();
  // Above what it may hold: a decoder that gets no memory often calls the clip invalid.
  const maxDataBytes = (maxMegabytes + SPARE_MEGABYTES) * MEGABYTE;
  const limits = { maxDataBytes, maxCpuSeconds: Math.ceil(maxCpuSeconds) + 5 };
  const stack = `ulimit -s ${STACK_KILOBYTES} 2>/dev/null; exec "$@"`;
  const child = spawnLimited(['/bin/sh', '-c', stack, 'sh', path, '-hide_banner', '-nostdin', ...args], {
    limits,
    env: { LC_ALL: 'C', AV_LOG_FORCE_NOCOLOR: '1', MALLOC_ARENA_MAX: '2' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const { pid, stdout, stderr } = child;
  if (pid === undefined || stdout === null || stderr === null) {
    throw cannotStart(await new Promise((resolve) => child.once('error', resolve)));
  }
  child.on('error', () => {});
  lowestPriority(pid);
  let errorText = '';
  stderr.setEncoding('utf8').on('data', (text: string) => {
    errorText = (errorText + text).slice(-KEPT_ERROR_CHARACTERS);
  });
  stdout.on('data', onOutput);
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
  if (code === 126 || code === 127) throw cannotStart(new Error(errorText));
  return { exitCode: code, ended: endedBy({ code, by, exceeded, errorText }), errorText };
}

function endedBy(end: {
  code: number | null;
  by: NodeJS.Signals | null;
  exceeded: LimitName | undefined;
  errorText: string;
}): FfmpegEnd['ended'] {
  const { code, by, exceeded, errorText } = end;
  if (code === 0) return undefined;
  if (exceeded !== undefined) return exceeded;
  // The texts of ENOMEM, which the limit of the kernel causes. A library written in C++ or Rust aborts instead.
  if (/Cannot allocate memory|get_buffer\(\) failed|bad_alloc|memory allocation of/.test(errorText)) return 'memory';
  if (by === 'SIGKILL') return 'time';
  return by === null ? undefined : 'crash';
}

function lowestPriority(pid: number): void {
  try {
    setPriority(pid, constants.priority.PRIORITY_LOW);
  } catch {
    // It has ended already.
  }
}

function cannotStart(cause: unknown): ServiceError {
  return new ServiceError('unavailable', 'The server could not start ffmpeg to decode the clip. Send it again.', {
    cause,
  });
}

/** Makes an `onOutput` that splits text into lines. */
export function byLine(onLine: (line: string) => void): (bytes: Buffer) => void {
  let rest = '';
  return (bytes) => {
    const lines = (rest + bytes.toString('latin1')).split('\n');
    rest = (lines.pop() ?? '').slice(0, MAX_LINE_CHARACTERS);
    for (const line of lines) onLine(line);
  };
}
