import { readdirSync, readFileSync } from 'node:fs';
import type { CpuBudget } from '../limits/cpu-budget.js';

const POLL_MS = 50;

/** Counts for one comparison at most: while this process or the whole machine was suspended, nothing was observed. */
const MAX_STEP_SECONDS = 1;

/** Of `/proc/PID/stat`: `sysconf(_SC_CLK_TCK)` is 100 on every Linux platform of Node. */
const TICKS_PER_SECOND = 100;

export type LimitName = 'memory' | 'time' | 'hang';

export interface ProcessLimits {
  /** Resident memory, of this process alone. */
  readonly maxBytes: number;
  /** Processor time from now on. */
  readonly maxCpuSeconds: number;
  /** Shared with other processes. */
  readonly budget?: CpuBudget | undefined;
  /** A process that sleeps for this long, without using the processor, hangs. One that waits for a core or a disk does not. */
  readonly maxSleepSeconds: number;
  /** Enforced where the operating system does not tell the processor time (outside Linux). */
  readonly maxWallSeconds: number;
  /** True while the process waits for this process, which is not a hang. */
  readonly isWaitingForUs?: () => boolean;
}

/**
 * Compares the memory and the processor time of a process with limits, 20 times a second, and calls `onExceeded` once.
 *
 * @returns `stop` ends the watch; `cpuSeconds`: the processor time used from the start of the watch to the last comparison
 */
export function watchProcess(
  pid: number,
  limits: ProcessLimits,
  onExceeded: (limit: LimitName | 'budget') => void,
): { stop: () => void; cpuSeconds: () => number } {
  let comparedAt = performance.now();
  let first: number | undefined;
  let cpuSeconds = 0;
  let wallSeconds = 0;
  let sleepSeconds = 0;
  const isBudgetSpent = (seconds: number) => {
    if (limits.budget === undefined) return false;
    limits.budget.secondsLeft -= seconds;
    return limits.budget.secondsLeft < 0;
  };
  const exceeded = (): LimitName | 'budget' | undefined => {
    const now = performance.now();
    const step = Math.min((now - comparedAt) / 1000, MAX_STEP_SECONDS);
    comparedAt = now;
    wallSeconds += step;
    const usage = usageOf(pid);
    if (usage === undefined) {
      if (wallSeconds > limits.maxWallSeconds) return 'time';
      return isBudgetSpent(step) ? 'budget' : undefined;
    }
    first ??= usage.cpuSeconds;
    const used = usage.cpuSeconds - first - cpuSeconds;
    const isActive = used > 0 || limits.isWaitingForUs?.() === true;
    sleepSeconds = isActive ? 0 : sleepSeconds + step;
    cpuSeconds += used;
    const isOverBudget = isBudgetSpent(used);
    if (usage.residentBytes > limits.maxBytes) return 'memory';
    if (cpuSeconds > limits.maxCpuSeconds) return 'time';
    if (isOverBudget) return 'budget';
    if (sleepSeconds <= limits.maxSleepSeconds) return undefined;
    if (allThreadsSleep(pid)) return 'hang';
    sleepSeconds = 0;
    return undefined;
  };
  const timer = setInterval(() => {
    const limit = exceeded();
    if (limit === undefined) return;
    clearInterval(timer);
    onExceeded(limit);
  }, POLL_MS);
  return { stop: () => clearInterval(timer), cpuSeconds: () => cpuSeconds };
}

interface Usage {
  readonly residentBytes: number;
  readonly cpuSeconds: number;
}

/** `undefined` if the process is gone, or the operating system has no `/proc`. */
function usageOf(pid: number): Usage | undefined {
  try {
    const fields = statOf(`/proc/${pid}`);
    const ticks = Number(fields[11]) + Number(fields[12]);
    // In kilobytes, unlike `statm`, whose unit is the size of a page.
    const resident = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0;
    return { residentBytes: Number(resident) * 1024, cpuSeconds: ticks / TICKS_PER_SECOND };
  } catch {
    return undefined;
  }
}

/** The fields of `stat` after the name of the program, which is in parentheses and may contain anything: the state is first. */
function statOf(folder: string): string[] {
  const stat = readFileSync(`${folder}/stat`, 'latin1');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
}

/** False if a thread waits for a core or for a disk. */
function allThreadsSleep(pid: number): boolean {
  try {
    return readdirSync(`/proc/${pid}/task`).every((thread) => statOf(`/proc/${pid}/task/${thread}`)[0] === 'S');
  } catch {
    return false;
  }
}
