import { createHash } from 'node:crypto';
import { linkSync, lstatSync, renameSync, unlinkSync } from 'node:fs';
import { lstat, readdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { TrainyardClient } from '../../client/client.js';
import { hasErrno } from '../../dataset/errors.js';
import { mediaTypeOf } from '../../dataset/media.js';
import { forEachConcurrent } from '../../for-each-concurrent.js';
import type { RemoteSource, MountFile, MountManifest } from '../../service/mount/mount-source.js';
import { bringFiles, bytesOf, requireSpace, sha256Of } from '../../service/mount/bring-files.js';
import { flushFolder, makeFolders } from '../../storage/folders.js';
import { fileVersionOf, type LocalFile } from '../folder/read-folder.js';
import { CommonState, realFolders } from '../sync/common-state.js';
import {
  commonChanges,
  type Decisions,
  settledBy,
  storedSince,
  type SyncPlan,
  type SyncRules,
  syncPlanOf,
} from '../sync/compare.js';
import { withLockedFolders } from '../sync/lock-folders.js';
import type { SyncDirection } from '../sync/report.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { type ProgressDisplay, transferLine } from '../terminal/progress.js';
import { errorMessage, printable } from '../terminal/text.js';

const CONNECTIONS = 8;
const CONCURRENT_HASHES = 4;

/** The folder of incomplete files, removed at the end. */
const PARTIAL_FOLDER = '.trainyard-pull';

export interface PullTask {
  readonly client: TrainyardClient;
  readonly source: RemoteSource;
  readonly url: string;
  readonly folder: string;
  readonly rules: SyncRules;
  readonly direction: SyncDirection;
  readonly display: ProgressDisplay;
  readonly signal: AbortSignal;
}

/** An image, video or caption in the folder; `sha256` is empty for one that is not compared. */
type PulledFile = Pick<LocalFile, 'path' | 'sizeBytes' | 'version'> & { readonly sha256: string };

export interface PreparedPull {
  readonly manifest: MountManifest;
  readonly plan: SyncPlan;
  readonly local: ReadonlyMap<string, PulledFile>;
  /** Folders and links that have the names of files of the dataset. */
  readonly notFiles: readonly string[];
  /** Files of the folder whose names the dataset has without a stored file. They are not in `plan`. */
  readonly notStored: readonly string[];
  readonly state: CommonState;
  /** The plan with a person's decisions about conflicts. */
  readonly decide: (decisions: Decisions) => SyncPlan;
}

export interface PullReport {
  readonly pulled: readonly string[];
  readonly removed: readonly string[];
  /** Files that were left alone because both sides have changed them, some perhaps during the pull. */
  readonly conflicts: readonly string[];
  readonly bytes: number;
}

/** Runs a pull while no other command uses its folder. A folder that was created and stays empty is removed again. */
export async function intoLockedFolder(task: PullTask, pull: () => Promise<void>): Promise<void> {
  const { folder } = task;
  const created = await makeFolders(folder).catch((error) => {
    throw folderError(folder, error, "can't be used as a folder");
  });
  try {
    await withLockedFolders([folder], task, pull);
  } finally {
    // `rmdir` fails for a folder with files.
    if (created !== undefined) await rmdir(folder).catch(() => {});
  }
}

/** @param what the fault of the folder, unless its disk is full */
function folderError(folder: string, cause: unknown, what: string): CommandError {
  const shown = printable(folder);
  if (hasErrno(cause, 'ENOSPC', 'EDQUOT')) {
    const message = `the dataset does not fit on the disk of ${shown}. Free some space, and run the same command again to fetch the rest.`;
    return new CommandError(EXIT.ioError, message, { cause });
  }
  return new CommandError(EXIT.cannotCreate, `${shown} ${what}: ${errorMessage(cause)}.`, { cause });
}

/** Compares the dataset with the folder. A local file whose upload is not finished may be the only copy, and stays. */
export async function preparePull(task: PullTask): Promise<PreparedPull> {
  const { source, folder, url, rules } = task;
  const manifest = await source.manifest({}, task.signal);
  const dataset = hashesIn(manifest);
  const folders = await realFolders([folder]).catch((error) => {
    if (hasErrno(error, 'ENOENT')) return [folder];
    throw folderError(folder, error, "can't be used as a folder");
  });
  const state = await CommonState.open({ folders, url, datasetId: manifest.datasetId });
  const known = state.commonWith(dataset);
  const { files: local, others } = await readLocalFiles(task, (name) => dataset.has(name) || known.has(name));
  // A folder without any of these files was emptied or created again, rather than each of its files removed.
  const common = [...known.keys()].some((name) => local.has(name)) ? known : new Map<string, string>();
  const available = new Map([...dataset].filter(([name]) => !others.has(name)));
  const unfinished = manifest.status === 'READY' ? new Set<string>() : await unfinishedIn(task, manifest.datasetId);
  const notStored = [...local.keys()].filter((name) => !dataset.has(name) && unfinished.has(name)).sort();
  const left = new Set(notStored);
  const target = new Map([...local].flatMap(([name, { sha256 }]) => (left.has(name) ? [] : [[name, sha256]])));
  // A dataset that was emptied removes nothing, as a folder that was emptied does not.
  const replaces = rules.replaces && dataset.size > 0;
  const decide = (decisions: Decisions) =>
    syncPlanOf({ common, settled: state.settled, source: available, target }, { ...rules, replaces, decisions });
  const notFiles = [...others].filter((name) => dataset.has(name)).sort();
  return { manifest, plan: decide(new Map()), local, notFiles, notStored, state, decide };
}

/** Reads the top level of a folder, which may be missing. @throws CommandError with 73 or 74 */
async function readLocalFiles(
  { folder, signal }: PullTask,
  isCompared: (name: string) => boolean,
): Promise<{ files: Map<string, PulledFile>; others: Set<string> }> {
  const names = await readdir(folder).catch((error) => {
    if (hasErrno(error, 'ENOENT')) return [];
    throw folderError(folder, error, "can't be used as a folder");
  });
  const files = new Map<string, PulledFile>();
  const others = new Set<string>();
  const media = names.filter((name) => !name.startsWith('.') && mediaTypeOf(name) !== undefined);
  await forEachConcurrent(media, CONCURRENT_HASHES, async (name) => {
    signal.throwIfAborted();
    const filename = name.normalize('NFC');
    const path = join(folder, name);
    const stats = await lstat(path, { bigint: true });
    if (!stats.isFile()) return void others.add(filename);
    const version = fileVersionOf(stats);
    const sha256 = isCompared(filename) ? await sha256Of(path) : '';
    files.set(filename, { path, sizeBytes: Number(stats.size), sha256, version });
  }).catch((error) => {
    signal.throwIfAborted();
    const message = `${printable(folder)} can't be compared: ${errorMessage(error)}.`;
    throw new CommandError(EXIT.ioError, message, { cause: error });
  });
  return { files, others };
}

/** All names of a dataset, also those without a stored file. */
async function unfinishedIn({ client, signal }: PullTask, datasetId: string): Promise<Set<string>> {
  const { files, awaited = [], checking = [], damaged = [], error } = await client.status(datasetId, { signal });
  const entries = [...files, ...awaited, ...checking, ...damaged, ...(error?.problems ?? [])];
  return new Set(entries.flatMap(({ filename = [] }) => filename));
}

export function hashesIn({ files }: MountManifest): Map<string, string> {
  return new Map(files.map(({ filename, sha256 }) => [filename, sha256]));
}

/** Downloads and removes as planned, except files that change meanwhile. @throws CommandError, DatasetChanged, MountError */
export async function runPull(task: PullTask, prepared: PreparedPull, plan: SyncPlan): Promise<PullReport> {
  const { folder, signal } = task;
  return transfer(task, prepared, plan).catch((error) => {
    signal.throwIfAborted();
    const isOfFolder = hasErrno(error, 'EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT', 'ENOENT', 'ENOTDIR', 'EEXIST');
    throw isOfFolder ? folderError(folder, error, "can't be written") : error;
  });
}

async function transfer(task: PullTask, { manifest, local, state }: PreparedPull, plan: SyncPlan): Promise<PullReport> {
  const writes = new Set(plan.write);
  const files = manifest.files.filter(({ filename }) => writes.has(filename));
  const conflicts = [...plan.conflicts];
  const folder = new Map([...local].map(([name, { sha256 }]) => [name, sha256]));
  const [pulled, removed]: [string[], string[]] = [[], []];
  const isUntouched = (name: string, path: string) => {
    const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
    if ((stats && fileVersionOf(stats)) === local.get(name)?.version) return true;
    conflicts.push(name);
    return false;
  };
  try {
    await fetchFiles(task, manifest, files, ({ filename, sha256 }, partial) => {
      const path = local.get(filename)?.path ?? join(task.folder, filename);
      if (local.has(filename) || !tryLink(partial, path)) {
        if (!isUntouched(filename, path)) return;
        renameSync(partial, path);
      }
      pulled.push(filename);
      folder.set(filename, sha256);
    });
    for (const name of plan.remove) {
      const { path } = local.get(name)!;
      if (!isUntouched(name, path)) continue;
      unlinkSync(path);
      removed.push(name);
      folder.delete(name);
    }
  } finally {
    // A file lost in a power cut would count as deleted by a person, and the next push would delete it too.
    if (pulled.length > 0) await flushFolder(task.folder, pulled);
    const dataset = hashesIn(manifest);
    const known = [...storedSince(state.sent, dataset), ...commonChanges(state.files, folder, dataset)];
    const settled = settledBy(plan, dataset, folder);
    await state.change(new Map([...known, ...pulled.map((name) => [name, dataset.get(name)] as const)]), { settled });
  }
  const written = new Set(pulled);
  const bytes = bytesOf(files.filter(({ filename }) => written.has(filename)));
  return { pulled: pulled.sort(), removed, conflicts: conflicts.sort(), bytes };
}

/** @param onReceived moves a complete file away from the folder of incomplete ones */
async function fetchFiles(
  { source, folder, display, signal }: PullTask,
  { name, files: all }: MountManifest,
  files: readonly MountFile[],
  onReceived: (file: MountFile, path: string) => void,
): Promise<void> {
  if (files.length === 0) return;
  const partial = join(folder, PARTIAL_FOLDER);
  await makePartialFolder(partial);
  const totalBytes = bytesOf(all);
  let [doneBytes, doneFiles] = [totalBytes - bytesOf(files), all.length - files.length];
  const placed = files.map((file) => ({ ...file, mountedName: partialNameOf(file) }));
  await requireSpace(partial, [{ folder: partial, files: placed }]);
  await bringFiles(partial, placed, {
    ...{ source, signal },
    concurrency: CONNECTIONS,
    onBytes: (bytes) => {
      doneBytes += bytes;
      const progress = { totalFiles: all.length, doneFiles, totalBytes, doneBytes };
      display.update(() => [`${printable(name)}  ${transferLine(progress)}`]);
    },
    onFile: (file) => {
      onReceived(file, join(partial, file.mountedName));
      doneFiles++;
    },
  });
  for (const each of await readdir(partial)) {
    if (/^[0-9a-f]{64}\.partial$/.test(each)) await rm(join(partial, each), { force: true });
  }
  await rmdir(partial).catch(() => {});
}

/** @throws CommandError with 73 if it is a link, which could lead to files of a person, or no folder */
async function makePartialFolder(path: string): Promise<void> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory() === false) {
    throw new CommandError(EXIT.cannotCreate, `${printable(path)} is in the way: it is not a folder. Move it away.`);
  }
  await makeFolders(path);
}

/** Moves a received file. @returns false if its name is taken, or the file system has no hard links */
function tryLink(partial: string, path: string): boolean {
  try {
    // Unlike `rename`, this never replaces a file that is created in this moment.
    linkSync(partial, path);
  } catch {
    return false;
  }
  unlinkSync(partial);
  return true;
}

/** Named by content, so that a changed file is not resumed. */
function partialNameOf({ filename, sha256 }: MountFile): string {
  return `${createHash('sha256').update(`${sha256} ${filename}`).digest('hex')}.partial`;
}
