import { spawnSync } from 'node:child_process';
import { closeSync, openSync, rmSync, statfsSync, statSync, truncateSync, writeSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { temporaryFolder } from '../harness/server.js';

/** A small file system in memory. */
export interface SmallDisk {
  readonly folder: string;
  readonly freeBytes: () => number;
  /** Fills the file system until `release`, apart from `leftBytes`. */
  readonly fill: (leftBytes?: number) => void;
  readonly release: () => void;
  readonly unmount: () => Promise<void>;
}

/** Mounts one, or returns the reason why this machine can't: it needs root. With `CI=true` that is a failure. */
export async function mountSmallDisk(
  megabytes: number,
  { inodes = 100_000 }: { inodes?: number } = {},
): Promise<SmallDisk | { refusal: string }> {
  const folder = await temporaryFolder();
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,nr_inodes=${inodes}`, 'tmpfs', folder], {
    encoding: 'utf8',
  });
  if (mounted.status !== 0) {
    await rm(folder, { recursive: true });
    const refusal = `no small disk can be mounted: ${mounted.error?.message ?? mounted.stderr.trim()}`;
    if (process.env.CI === 'true') throw new Error(refusal);
    return { refusal };
  }
  const filler = join(folder, 'filler');
  return {
    folder,
    freeBytes: () => {
      const { bavail, bsize } = statfsSync(folder);
      return bavail * bsize;
    },
    fill: (leftBytes = 0) => {
      fillUp(filler);
      truncateSync(filler, statSync(filler).size - leftBytes);
    },
    release: () => rmSync(filler, { force: true }),
    unmount: async () => {
      // Lazily, since a server left by a failed test would keep it busy.
      spawnSync('umount', ['-l', folder]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function fillUp(path: string): void {
  const page = Buffer.alloc(4096, 1);
  const file = openSync(path, 'a');
  try {
    for (;;) writeSync(file, page);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) throw error;
  } finally {
    closeSync(file);
  }
}
