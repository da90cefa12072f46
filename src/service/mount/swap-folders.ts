import { execFile } from 'node:child_process';
import { open } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** `renameat2(AT_FDCWD, …, RENAME_EXCHANGE)` of the C library (rename(2)); a trainer's machine always has Python. */
const PYTHON = `import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
a, b = (os.fsencode(path) for path in sys.argv[1:])
sys.exit(0 if libc.renameat2(-100, a, -100, b, 2) == 0 else 1)`;

/**
 * Lets two folders change names in one step, so that at no moment either name is without a folder. Node can't; `mv` of
 * coreutils 9.5 or later can, and so can the C library, through Python.
 *
 * @returns false where neither could, or the file system can't; both names are as they were
 */
export async function swapFolders(one: string, other: string): Promise<boolean> {
  if (process.platform !== 'linux') return false;
  for (const [command, args] of [
    ['mv', ['--exchange', '--no-copy', '-T', '--', one, other]],
    ['python3', ['-c', PYTHON, one, other]],
  ] as const) {
    const isDone = await run(command, args).then(
      () => true,
      () => false,
    );
    if (isDone) return true;
  }
  return false;
}

/** Makes the names in a folder durable. */
export async function syncFolder(path: string): Promise<void> {
  const handle = await open(path);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
