import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { startServer, type TestServer } from '../harness/server.js';

/** What lies in a data folder though it should not, and the other way round. */
export interface Remains {
  /** Files that were being received. */
  readonly staged: readonly string[];
  /** Blobs and thumbnails that no file of the catalog stands for. */
  readonly strays: readonly string[];
  /** Files of the catalog without their bytes. */
  readonly missing: readonly string[];
  /** Blobs the catalog knows to be of no use any more. */
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
  const stored = new Set(column(`select id from file where state = 'stored'`));
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

/** How many bytes are on the disk of uploads under way. */
export function stagedBytes(dataFolder: string): number {
  const sizes = stagedIn(dataFolder).map((name) => statSync(join(dataFolder, 'blobs', 'staging', name)).size);
  return sizes.reduce((sum, size) => sum + size, 0);
}

/** What is left after a stop and another start, which sweeps; the grace for blobs must be 0. */
export async function remainsAfterRestart(server: TestServer): Promise<Remains> {
  if (server.process.exitCode === null && server.process.signalCode === null) await server.stop();
  const { dataFolder } = server;
  const next = await startServer({ 'blob-grace-seconds': 0 }, { dataFolder });
  try {
    return remainsIn(dataFolder);
  } finally {
    await next.stop();
  }
}

/** Lines of the log that tell of a fault of ours: an answer of 500, a stream that broke off, a dying process. */
export function faultsOf(server: TestServer): string[] {
  return server
    .output()
    .split('\n')
    .filter(
      (line) => /"status":500|broke off"|sweep failed|^\s+at |Error:/.test(line) && !/"status":50[37]/.test(line),
    );
}

export function openFiles({ process: { pid } }: TestServer): number {
  return readdirSync(`/proc/${pid}/fd`).length;
}

/** The most memory the process has ever held, in megabytes. */
export function peakMegabytes({ process: { pid } }: TestServer): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+)/.exec(status)?.[1]) / 1024;
}

/** Whether the process is still there. */
export function isAlive({ process: { pid } }: TestServer): boolean {
  return existsSync(`/proc/${pid}`);
}
