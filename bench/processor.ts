import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { onDatabase } from '../test/harness/postgres.js';

interface Stat {
  readonly parent: number;
  /** Of its own and of the children that it has seen end. */
  readonly ticks: number;
}

/** As `proc_pid_stat(5)` has them; `undefined` for a process that has ended. */
function statOf(pid: number): Stat | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name stands in parentheses and may hold anything, those included.
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

/** The processor time that processes have taken so far, together with their children. Linux only. */
export function processorSeconds(pids: readonly number[]): number {
  const wanted = new Set(pids);
  let ticks = 0;
  for (const name of readdirSync('/proc')) {
    const stat = /^\d+$/.test(name) ? statOf(Number(name)) : undefined;
    if (stat !== undefined && (wanted.has(Number(name)) || wanted.has(stat.parent))) ticks += stat.ticks;
  }
  return ticks / ticksPerSecond();
}

/** The first process of a Postgres on this machine: the parent of whoever answers. */
export async function postmasterOf(url: string): Promise<number> {
  // Looked up before the connection ends, and its process with it.
  const [result] = await onDatabase(url, `select pg_backend_pid() pid, pg_read_file('postmaster.pid') file`);
  const pid = Number.parseInt(result!.rows[0].file, 10);
  if (statOf(pid) === undefined) throw new Error(`the Postgres at ${new URL(url).host} does not run on this machine`);
  return pid;
}

/** Which part of the machine's processor time somebody takes while work is done, 0 to 1, whoever it is. */
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
