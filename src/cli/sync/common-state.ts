import { createHash } from 'node:crypto';
import { readFile, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { lastMount } from '../../service/mount/mounted-folder.js';
import { ownPath, replaceOwnFile } from '../saved-login.js';
import { printMessage } from '../terminal/print.js';
import { errorMessage } from '../terminal/text.js';
import { type Hashes, type SettledConflict, type SettledConflicts, storedSince } from './compare.js';

const FORMAT = 1;

interface SyncPair {
  /** Real paths, sorted; several if a push names files of several folders. */
  readonly folders: readonly string[];
  /** The URL of the service. */
  readonly url: string;
  readonly datasetId: string;
}

/** What a folder and a dataset last had in common. Saved beside the credentials, since trainers read the folder. */
export interface CommonState {
  readonly pair: SyncPair;
  readonly files: Map<string, string>;
  /** Versions last sent by pushes, while it was unknown whether the dataset would store them. */
  readonly sent: Map<string, string>;
  /** Conflicts that the other command need not ask about again. */
  readonly settled: Map<string, SettledConflict>;
}

/** Adds files, and removes those that are `undefined`. Losing the state only causes conflicts, so a failure is a warning. */
export async function changeState(
  pair: SyncPair,
  changes: ReadonlyMap<string, string | undefined>,
  { sent = new Map(), settled = new Map() }: { sent?: Hashes; settled?: SettledConflicts } = {},
): Promise<void> {
  if (changes.size + sent.size + settled.size === 0) return;
  const { pair: _, ...state } = await readState(pair);
  for (const [name, conflict] of settled) state.settled.set(name, conflict);
  for (const [name, sha256] of sent) state.sent.set(name, sha256);
  for (const [name, sha256] of changes) {
    state.sent.delete(name);
    state.settled.delete(name);
    if (sha256 === undefined) state.files.delete(name);
    else state.files.set(name, sha256);
  }
  const { folders, url, datasetId } = pair;
  const maps = Object.entries(state).map(([name, map]) => [name, Object.fromEntries<unknown>(map)]);
  const document = { format: FORMAT, folders, url, dataset_id: datasetId, ...Object.fromEntries(maps) };
  try {
    await replaceOwnFile(nameOf(pair), `${JSON.stringify(document)}\n`);
  } catch (error) {
    const reason = `what folder and dataset have in common could not be saved: ${errorMessage(error)}`;
    printMessage(`${reason}. Files that are changed later may be reported as conflicts.`);
  }
}

function nameOf({ folders, url, datasetId }: SyncPair): string {
  const key = createHash('sha256').update(JSON.stringify([folders, url, datasetId]));
  return join('sync', `${key.digest('hex')}.json`);
}

export async function realFolders(folders: readonly string[]): Promise<string[]> {
  return [...new Set(await Promise.all(folders.map((folder) => realpath(folder))))].sort();
}

/** A missing or damaged file, or one that is older than the mount of the folder, counts as the state of the mount. */
export async function readState(pair: SyncPair): Promise<CommonState> {
  const mount = await lastMount(pair.folders, pair.datasetId);
  try {
    const path = ownPath(nameOf(pair)) ?? '';
    const { format, files, sent, settled = {} } = JSON.parse(await readFile(path, 'utf8'));
    const mapOf = <T>(object: Record<string, T>) => new Map(Object.entries(object));
    const isCurrent = format === FORMAT && (await stat(path)).mtimeMs > mount.at;
    if (isCurrent) return { pair, files: mapOf(files), sent: mapOf(sent), settled: mapOf(settled) };
  } catch {
    // The dataset was never in common with the folder, or the file can't be parsed.
  }
  return { pair, files: mount.files, sent: new Map(), settled: new Map() };
}

/** The common files, also those that were sent and that the dataset has stored since. */
export function commonWith({ files, sent }: CommonState, dataset: Hashes): Map<string, string> {
  return new Map([...files, ...storedSince(sent, dataset)]);
}
