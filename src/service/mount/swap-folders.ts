import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Calls the C library's `renameat2(AT_FDCWD, …, RENAME_EXCHANGE)`. A trainer's machine always has Python. */
const PYTHON = `import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
a, b = (os.fsencode(path) for path in sys.argv[1:])
sys.exit(0 if libc.renameat2(-100, a, -100, b, 2) == 0 else 1)`;

/**
 * Swaps the names of two folders atomically, as `renameat2` with RENAME_EXCHANGE does (rename(2)), so that each name refers
 * to a folder at every moment. Node has no such call; `mv` of coreutils 9.5 or later and Python's `ctypes` do.
 *
 * @returns false if neither command or the file system can; the names are unchanged then
 */
export async function swapFolders(one: string, other: string): Promise<boolean> {
  if (process.platform !== 'linux') return false;
  for (const [command, args] of [
    ['mv', ['--exchange', '--no-copy', '-T', '--', one, other]],
    ['python3', ['-c', PYTHON, one, other]],
  ] as const) {
    const swapped = await run(command, args).catch(() => undefined);
    if (swapped !== undefined) return true;
  }
  return false;
}
