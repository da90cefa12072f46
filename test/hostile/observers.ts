import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';

const TICKS_PER_SECOND = 100;

/** Asks a server for its health every 50 ms. */
export class HealthLoop {
  #slowestMs = 0;
  #isOver = false;
  readonly #running: Promise<void>;

  constructor(url: string) {
    this.#running = (async () => {
      while (!this.#isOver) {
        const startedAt = performance.now();
        const isOk = await fetch(`${url}/healthz`).then(
          ({ ok }) => ok,
          () => false,
        );
        this.#slowestMs = Math.max(this.#slowestMs, isOk ? performance.now() - startedAt : Number.POSITIVE_INFINITY);
        await wait(50);
      }
    })();
  }

  /** The slowest answer since the last call; infinite if one is missing. */
  take(): number {
    const slowestMs = this.#slowestMs;
    this.#slowestMs = 0;
    return slowestMs;
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#running;
  }
}

interface ProcessState {
  readonly pid: number;
  readonly parent: number;
  /** Of this process, and of those of its children that have ended. */
  readonly cpuSeconds: number;
}

/** Empty if it has ended. */
function processState(pid: number): ProcessState[] {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ').map(Number) ?? [];
    const ticks = fields.slice(11, 15).reduce((sum, each) => sum + each, 0);
    return [{ pid, parent: fields[1] ?? 0, cpuSeconds: ticks / TICKS_PER_SECOND }];
  } catch {
    return [];
  }
}

/** The processes below a process, its children's children included. */
function descendantsOf(root: number): ProcessState[] {
  const names = process.platform === 'linux' ? readdirSync('/proc') : [];
  const all = names.flatMap((name) => (/^\d+$/.test(name) ? processState(Number(name)) : []));
  const below = (parent: number): ProcessState[] =>
    all.filter((each) => each.parent === parent).flatMap((each) => [each, ...below(each.pid)]);
  return below(root);
}

/** Processor time that all processes of a tree have used, in seconds. */
export function cpuSecondsOf(root: number): number {
  return [...processState(root), ...descendantsOf(root)].reduce((sum, each) => sum + each.cpuSeconds, 0);
}

/** The resident memory of some processes. What they map of files, above all their program, counts once for each program. */
function residentBytes(pids: readonly number[]): number {
  const bytesOfPrograms = new Map<string, number>();
  let bytes = 0;
  for (const pid of pids) {
    try {
      const status = readFileSync(`/proc/${pid}/status`, 'latin1');
      const of = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1] ?? 0) * 1024;
      const program = readlinkSync(`/proc/${pid}/exe`);
      bytes += of('RssAnon') + of('RssShmem');
      bytesOfPrograms.set(program, Math.max(bytesOfPrograms.get(program) ?? 0, of('RssFile')));
    } catch {
      // The process has ended.
    }
  }
  for (const ofProgram of bytesOfPrograms.values()) bytes += ofProgram;
  return bytes;
}

/** Observes the memory of a server with its child processes. */
export class MemoryLoop {
  readonly #timer: NodeJS.Timeout;
  peakMegabytes = 0;

  constructor(pid: number) {
    const look = () => {
      const bytes = residentBytes([pid, ...descendantsOf(pid).map((each) => each.pid)]);
      this.peakMegabytes = Math.max(this.peakMegabytes, bytes / 1e6);
    };
    look();
    this.#timer = setInterval(look, 100);
  }

  /** The peak since the last call. */
  take(): number {
    const peak = this.peakMegabytes;
    this.peakMegabytes = 0;
    return peak;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
