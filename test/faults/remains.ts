import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect } from 'vitest';
import { startServer, type TestServer } from '../harness/server.js';

/** Orphaned and missing files of a data folder. */
export interface Remains {
  /** Files of uploads in flight. */
  readonly staged: readonly string[];
  /** Blobs and thumbnails without a file in the catalog or its history. */
  readonly strays: readonly string[];
  /** Files of the catalog and its history without their bytes. */
  readonly missing: readonly string[];
  /** Blobs in the catalog's trash. */
  readonly trash: readonly string[];
}

export const NOTHING_REMAINS: Remains = { staged: [], strays: [], missing: [], trash: [] };

/** Read from the files themselves, beside a running server. */
export function remainsIn(dataFolder: string): Remains {
  const db = new DatabaseSync(join(dataFolder, 'catalog.sqlite'), { readOnly: true });
  const column = (sql: string) =>
    db
      .prepare(sql)
      .all()
      .map((row) => String(Object.values(row as object)[0]));
  const all = `select id, dataset_id from file where state in ('stored', 'received') union select id, dataset_id from past_file`;
  const stored = new Set(column(`select id from (${all})`));
  const trash = column('select blob_key from trash').map((key) => key.slice(key.indexOf('/') + 1));
  db.close();
  const root = join(dataFolder, 'blobs');
  const blobs = readdirSync(root)
    .filter((folder) => folder !== 'staging')
    .flatMap((folder) => readdirSync(join(root, folder)));
  const known = new Set([...stored, ...trash]);
  return {
    staged: stagedIn(dataFolder),
    strays: blobs.filter((blob) => !known.has(blob.replace(/\.thumbnail$/, ''))),
    missing: [...stored].filter((id) => !blobs.includes(id)),
    trash,
  };
}

export function stagedIn(dataFolder: string): string[] {
  return readdirSync(join(dataFolder, 'blobs', 'staging'));
}

/** Bytes on disk of uploads in flight. */
export function stagedBytes(dataFolder: string): number {
  const sizes = stagedIn(dataFolder).map((name) => statSync(join(dataFolder, 'blobs', 'staging', name)).size);
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** Restarts a server, whose cleanup then removes what a blob grace of 0 kept. */
export async function expectNothingAfterRestart(server: TestServer): Promise<void> {
  if (server.process.exitCode === null && server.process.signalCode === null) await server.stop();
  const { dataFolder } = server;
  const next = await startServer({ 'blob-grace-seconds': 0, 'lease-seconds': 4 }, { dataFolder });
  try {
    await expect.poll(() => remainsIn(dataFolder)).toEqual(NOTHING_REMAINS);
  } finally {
    await next.stop();
  }
}

/**
 * Lines of the log about a fault of the server: every error but a 503 or 507 answer, one that the store broke off, or work in the
 * background that a full disk stopped; warnings of Node, the stack of a dying process.
 */
export function faultsOf(server: TestServer): string[] {
  return server
    .output()
    .split('\n')
    .filter(
      (line) =>
        /"level":[56]0|"status":500|^\s+at |Error:|^\(node:\d+\)/.test(line) &&
        !/"status":50[37]|"error":"(unavailable|bytes_replaced)"|SQLITE_FULL.*it will be retried/.test(line),
    );
}

export function openFiles({ process: { pid } }: TestServer): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** The peak resident memory of the process, in megabytes. */
export function peakMegabytes({ process: { pid } }: TestServer): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024;
}

/** Whether the process is running. */
export function isAlive({ process: { pid } }: TestServer): boolean {
  return existsSync(`/proc/${pid}`);
}
