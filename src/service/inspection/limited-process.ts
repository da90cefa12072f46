import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import type { FileKind } from '../../dataset/media.js';

const POLL_MS = 50;

/** The longest time between two comparisons that counts: nothing was observed while the machine was suspended. */
const MAX_STEP_SECONDS = 1;

/** The unit of `/proc/PID/stat`: `sysconf(_SC_CLK_TCK)` is 100 on every Linux platform of Node. */
const TICKS_PER_SECOND = 100;

/** Outside Linux the processor time is not known: this share of the elapsed time counts. */
const ASSUMED_LOAD = 1 / 3;

export interface KernelLimits {
  /** `RLIMIT_DATA`: private writable memory. A larger allocation fails at once. */
  readonly maxDataBytes: number;
  /** `RLIMIT_CPU`: the kernel ends the process, even when this one has ended. */
  readonly maxCpuSeconds: number;
}
export interface ProcessLimits {
  /** Resident memory of this process. */
  readonly maxBytes: number;
  /** Processor time from now on. */
  readonly maxCpuSeconds: number;
  /** A process hangs if it sleeps for so long without using the processor; one that waits for a core or a disk does not. */
  readonly maxSleepSeconds: number;
}

export type LimitName = 'memory' | 'time' | 'hang';

/**
 * Sets limits of the kernel, then becomes the program. The kernel reclaims its memory first and, with `setpriv` of util-linux,
 * ends it with this process.
 */
const SCRIPT = [
  'ulimit -c 0',
  'ulimit -d "$1" 2>/dev/null',
  'ulimit -t "$2" 2>/dev/null',
  'shift 2',
  'echo 900 2>/dev/null >/proc/self/oom_score_adj',
  'setpriv --pdeathsig KILL -- true 2>/dev/null && exec setpriv --pdeathsig KILL -- "$@"',
  'exec "$@"',
].join('\n');

/** Starts a program with limits (on Linux), a low priority, and these variables alone: it reads hostile bytes and must have no secret. */
export function spawnLimited(
  command: readonly [string, ...string[]],
  { limits, ...options }: Pick<SpawnOptions, 'stdio'> & { env: Record<string, string>; limits: KernelLimits },
): ChildProcess {
  const [program, ...args] = command;
  const numbers = [Math.ceil(limits.maxDataBytes / 1024), limits.maxCpuSeconds].map(String);
  const child =
    process.platform === 'linux'
      ? spawn('/bin/sh', ['-c', SCRIPT, 'sh', ...numbers, ...command], options)
      : spawn(program, args, options);
  setPriorityOf(child, constants.priority.PRIORITY_BELOW_NORMAL);
  return child;
}

export function setPriorityOf({ pid }: ChildProcess, priority: number): void {
  if (pid === undefined) return;
  try {
    setPriority(pid, priority);
  } catch {
    // The process has ended, or the system does not allow it.
  }
}

/** Compares memory and processor time 20 times a second. @returns `stop`, which returns the seconds of processor time */
export function watchProcess(
  { pid = 0 }: ChildProcess,
  { maxBytes, maxCpuSeconds, maxSleepSeconds }: ProcessLimits,
  onExceeded: (limit: LimitName) => void,
): { stop: () => number } {
  let comparedAt = performance.now();
  let before: number | undefined;
  let cpuSeconds = 0;
  let sleepSeconds = 0;
  const exceeded = (): LimitName | undefined => {
    const now = performance.now();
    const step = Math.min((now - comparedAt) / 1000, MAX_STEP_SECONDS);
    comparedAt = now;
    const usage = usageOf(pid);
    const used = usage === undefined ? step * ASSUMED_LOAD : usage.cpuSeconds - (before ?? usage.cpuSeconds);
    before = usage?.cpuSeconds;
    cpuSeconds += used;
    sleepSeconds = used > 0 ? 0 : sleepSeconds + step;
    if (usage !== undefined && usage.residentBytes > maxBytes) return 'memory';
    if (cpuSeconds > maxCpuSeconds) return 'time';
    if (sleepSeconds <= maxSleepSeconds) return undefined;
    sleepSeconds = 0;
    return allThreadsSleep(pid) ? 'hang' : undefined;
  };
  const timer = setInterval(() => {
    const limit = exceeded();
    if (limit === undefined) return;
    clearInterval(timer);
    onExceeded(limit);
  }, POLL_MS);
  const stop = () => {
    clearInterval(timer);
    return cpuSeconds;
  };
  return { stop };
}

/** `undefined` if the process is gone, or there is no `/proc`. */
function usageOf(pid: number): { residentBytes: number; cpuSeconds: number } | undefined {
  try {
    const fields = statOf(`/proc/${pid}`);
    const ticks = Number(fields[11]) + Number(fields[12]);
    // In kilobytes; the unit of `statm` is the size of a page.
    const resident = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0;
    return { residentBytes: Number(resident) * 1024, cpuSeconds: ticks / TICKS_PER_SECOND };
  } catch {
    return undefined;
  }
}

/** The fields after the name of the program, which is in parentheses and may contain anything. */
function statOf(folder: string): string[] {
  const stat = readFileSync(`${folder}/stat`, 'latin1');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

function allThreadsSleep(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).every((thread) => statOf(`/proc/${pid}/task/${thread}`)[0] === 'S');
  } catch {
    return false;
  }
}

const MEGABYTE = 1_000_000;

/** 75 MB of code and heap, and a decoder of the largest images. Two processes and the server stay under 500 MB. */
const MAX_PROCESS_BYTES = 160 * MEGABYTE;

/** About ten times what the slowest honest files take: a WebP of noise 0.05 s a megabyte, flat images of 179 megapixels 2 s. */
const BASE_SECONDS = 20;
const SECONDS_PER_MEGABYTE = { image: 0.5, video: 0.2, caption: 0.2 } as const;
const MAX_BUDGET_SECONDS = 600;

const MAX_SLEEP_SECONDS = 60;

/** An honest image needs less time than for its inspection. */
const THUMBNAIL_SECONDS = 4;

/** A process is replaced after so much processor time, so that the kernel never ends its last job. */
export const RECYCLE_CPU_SECONDS = 60;

/** The kernel counts reserved memory: libwebp reserves 716 MB for the largest image, and touches little of it. */
export const KERNEL_LIMITS: KernelLimits = {
  maxDataBytes: 1000 * MEGABYTE,
  maxCpuSeconds: RECYCLE_CPU_SECONDS + MAX_BUDGET_SECONDS + 60,
};

export const THUMBNAIL_LIMITS: ProcessLimits = {
  maxBytes: MAX_PROCESS_BYTES,
  maxCpuSeconds: THUMBNAIL_SECONDS,
  maxSleepSeconds: MAX_SLEEP_SECONDS,
};

/** A conversion runs on a person's machine and holds whole pictures: an AVIF of 24 megapixels needs 530 MB. */
export const CONVERSION_LIMITS: ProcessLimits = {
  maxBytes: 750 * MEGABYTE,
  maxCpuSeconds: 180,
  maxSleepSeconds: MAX_SLEEP_SECONDS,
};

export function limitsOf({ kind, sizeBytes }: { kind: FileKind; sizeBytes: number }): ProcessLimits {
  const seconds = BASE_SECONDS + (sizeBytes / MEGABYTE) * SECONDS_PER_MEGABYTE[kind];
  const maxCpuSeconds = Math.min(Math.ceil(seconds), MAX_BUDGET_SECONDS);
  return { maxBytes: MAX_PROCESS_BYTES, maxCpuSeconds, maxSleepSeconds: MAX_SLEEP_SECONDS };
}

/** Completes "The inspection of cat.png …". */
export function exceededText(reason: LimitName | 'crash', limits: Omit<ProcessLimits, 'maxSleepSeconds'>): string {
  switch (reason) {
    case 'memory':
      return `needs more than ${Math.round(limits.maxBytes / MEGABYTE)} MB of memory`;
    case 'time':
      return `takes more than ${limits.maxCpuSeconds.toLocaleString('en-US')} s`;
    case 'hang':
      return 'does not end';
    case 'crash':
      return 'crashes its decoder';
  }
}

/** The work has used the processor time for which its client waits. */
export class CpuBudgetSpent extends Error {
  override readonly name = 'CpuBudgetSpent';
}
