import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const ROOT = '/sys/fs/cgroup';

/** Where the memory controller of cgroup v1 is mounted by most systems that have it. */
const ROOT_V1 = join(ROOT, 'memory');

/** A cgroup of its own for a server, with a limit of memory. */
interface MemoryCgroup {
  /** The prefix of a command that runs in it. */
  readonly command: readonly string[];
  /** How many of its processes the kernel has ended for want of memory. */
  readonly oomKills: () => number;
  /** Returns false while processes are in it. */
  readonly remove: () => boolean;
}

/** Makes one, or returns the reason why it can't. */
export function newMemoryCgroup(maxBytes: number): MemoryCgroup | { refusal: string } {
  const name = `trainyard-test-${process.pid}`;
  for (const { parent, limit, events } of parents()) {
    const folder = join(parent, name);
    try {
      mkdirSync(folder);
      writeFileSync(join(folder, limit), String(maxBytes));
    } catch {
      continue;
    }
    return {
      command: ['sh', '-c', 'echo $$ >"$0/cgroup.procs" && exec "$@"', folder],
      oomKills: () => Number(/^oom_kill (\d+)$/m.exec(readFileSync(join(folder, events), 'utf8'))?.[1]),
      remove: () => {
        try {
          rmdirSync(folder);
          return true;
        } catch {
          return false;
        }
      },
    };
  }
  return { refusal: 'no cgroup with a limit of memory can be made here' };
}

/**
 * The cgroups below which one can be made: in v2 the nearest that gives its children a limit of memory
 * (https://docs.kernel.org/admin-guide/cgroup-v2.html), in v1 the root of the memory controller
 * (https://docs.kernel.org/admin-guide/cgroup-v1/memory.html).
 */
function* parents(): Generator<{ parent: string; limit: string; events: string }> {
  const own = /^0::(.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1] ?? '/';
  for (let parent = join(ROOT, own); parent.startsWith(ROOT); parent = dirname(parent)) {
    const control = join(parent, 'cgroup.subtree_control');
    const isParent = existsSync(control) && readFileSync(control, 'utf8').split(/\s/).includes('memory');
    if (isParent) yield { parent, limit: 'memory.max', events: 'memory.events' };
  }
  // Without this file there would be a plain folder, which takes any file.
  if (existsSync(join(ROOT_V1, 'memory.oom_control')) || existsSync(join(ROOT_V1, 'cgroup.event_control'))) {
    yield { parent: ROOT_V1, limit: 'memory.limit_in_bytes', events: 'memory.oom_control' };
  }
}
