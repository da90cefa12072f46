import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { onDatabase } from '../test/harness/postgres.js';

interface Stat {
  readonly parent: number;
  /** Processor time of the process and of its reaped children. */
  readonly ticks: number;
}

/** Reads `/proc/PID/stat` (proc_pid_stat(5)); `undefined` for a process that has exited. */
function statOf(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name is in parentheses and may itself contain parentheses.
    const fields = text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    return { parent: fields[1]!, ticks: fields[11]! + fields[12]! + fields[13]! + fields[14]! };
  } catch {
    return undefined;
  }
}

const ticksPerSecond = () => Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'latin1' }));

/** The processor time of processes and their children so far, in seconds. Linux only. */
export function processorSeconds(pids: readonly number[]): number {
  const wanted = new Set(pids);
  let ticks = 0;
  for (const name of readdirSync('/proc')) {
    const stat = /^\d+$/.test(name) ? statOf(Number(name)) : undefined;
    if (stat !== undefined && (wanted.has(Number(name)) || wanted.has(stat.parent))) ticks += stat.ticks;
  }
  return ticks / ticksPerSecond();
}

/** The PID of the postmaster of a Postgres on this machine. */
export async function postmasterOf(url: string): Promise<number> {
  const [result] = await onDatabase(url, `select pg_backend_pid() pid, pg_read_file('postmaster.pid') file`);
  const pid = Number.parseInt(result!.rows[0].file, 10);
  if (statOf(pid) === undefined) throw new Error(`the Postgres at ${new URL(url).host} is not on this machine`);
  return pid;
}

/** The share of the machine's processor time, 0 to 1, that all processes use while `work` runs. */
export async function busyDuring<T>(work: () => Promise<T>): Promise<{ result: T; busy: number }> {
  const before = times();
  const result = await work();
  const after = times();
  return { result, busy: 1 - (after.idle - before.idle) / (after.all - before.all) };
}

function times(): { idle: number; all: number } {
  let [idle, all] = [0, 0];
  for (const { times } of cpus()) {
    idle += times.idle;
    all += times.idle + times.user + times.nice + times.sys + times.irq;
  }
  return { idle, all };
}
