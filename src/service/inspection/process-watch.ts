import { readFileSync } from 'node:fs';

const POLL_MS = 50;

/** Of `/proc/PID/stat`: `sysconf(_SC_CLK_TCK)` is 100 on every Linux platform of Node. */
const TICKS_PER_SECOND = 100;

export type LimitName = 'memory' | 'time' | 'hang';

export interface ProcessLimits {
  /** Resident memory, of this process alone. */
  readonly maxBytes: number;
  /** Processor time from now on. */
  readonly maxCpuSeconds: number;
  /** A process that sleeps for so long, without using the processor, hangs. One that waits for a core or a disk does not. */
  readonly maxSleepSeconds: number;
  /** Enforced where the operating system does not tell the processor time (outside Linux). */
  readonly maxWallSeconds: number;
  /** True while the process waits for this process, which is no hang. */
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
  onExceeded: (limit: LimitName) => void,
): { stop: () => void; cpuSeconds: () => number } {
  const startedAt = performance.now();
  let first: number | undefined;
  let cpuSeconds = 0;
  let activeAt = startedAt;
  const exceeded = (): LimitName | undefined => {
    const now = performance.now();
    const usage = usageOf(pid);
    if (usage === undefined) return now - startedAt > limits.maxWallSeconds * 1000 ? 'time' : undefined;
    first ??= usage.cpuSeconds;
    if (usage.cpuSeconds - first > cpuSeconds || !usage.isSleeping || limits.isWaitingForUs?.()) activeAt = now;
    cpuSeconds = usage.cpuSeconds - first;
    if (usage.residentBytes > limits.maxBytes) return 'memory';
    if (cpuSeconds > limits.maxCpuSeconds) return 'time';
    return now - activeAt > limits.maxSleepSeconds * 1000 ? 'hang' : undefined;
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
  readonly isSleeping: boolean;
}

/** `undefined` if the process is gone, or the operating system has no `/proc`. */
function usageOf(pid: number): Usage | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name of the program comes second, in parentheses, and may contain anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state] = fields;
    const ticks = Number(fields[11]) + Number(fields[12]);
    // In kilobytes, unlike `statm`, whose unit is the size of a page.
    const resident = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0;
    return { residentBytes: Number(resident) * 1024, cpuSeconds: ticks / TICKS_PER_SECOND, isSleeping: state === 'S' };
  } catch {
    return undefined;
  }
}
