import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { constants, setPriority } from 'node:os';

export interface KernelLimits {
  /** `RLIMIT_DATA`: private writable memory. An allocation beyond it fails, however fast it comes. */
  readonly maxDataBytes: number;
  /** `RLIMIT_CPU`: the kernel ends the process after this much processor time, even when this process has ended. */
  readonly maxCpuSeconds: number;
}

/**
 * Sets limits of the kernel, then becomes the program. Its memory is the first that the kernel reclaims, and it ends with
 * this process, if `setpriv` of util-linux is installed. What a system does not have is left out.
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

/**
 * Starts a program with limits, a low priority, and an environment of these variables alone, so that a program that reads
 * hostile bytes holds no secret. Limits are of Linux; on other systems only the priority is set.
 */
export function spawnLimited(
  command: readonly [string, ...string[]],
  { limits, ...options }: Pick<SpawnOptions, 'stdio'> & { env: Record<string, string>; limits: KernelLimits },
): ChildProcess {
  const [program, ...args] = command;
  const { maxDataBytes, maxCpuSeconds } = limits;
  const child =
    process.platform === 'linux'
      ? spawn(
          '/bin/sh',
          ['-c', SCRIPT, 'sh', `${Math.ceil(maxDataBytes / 1024)}`, `${maxCpuSeconds}`, ...command],
          options,
        )
      : spawn(program, args, options);
  if (child.pid !== undefined) lowerPriority(child.pid);
  return child;
}

function lowerPriority(pid: number): void {
  try {
    setPriority(pid, constants.priority.PRIORITY_BELOW_NORMAL);
  } catch {
    // The process has ended already, or the system does not allow it. The work is the same at any priority.
  }
}
