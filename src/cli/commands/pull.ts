import { createHash } from 'node:crypto';
import { linkSync, lstatSync, renameSync, unlinkSync } from 'node:fs';
import { lstat, readdir, rm, rmdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { type LocalFile, fileVersionOf } from '../folder/read-folder.js';
import { kindsOf } from '../folder/report.js';
import { httpSource } from '../mount/http-source.js';
import { type Call, type RemoteOptions, onDataset } from '../remote.js';
import { type CommonState, changeState, commonWith, readState, realFolders } from '../sync/common-state.js';
import {
  type Decisions,
  type Hashes,
  type SyncPlan,
  type SyncRules,
  commonChanges,
  settledBy,
  storedSince,
  syncPlanOf,
} from '../sync/compare.js';
import {
  type Conflict,
  type SyncDirection,
  askAboutConflicts,
  conflictDocument,
  directionFrom,
  keptDocument,
  keptLines,
  namesOf,
  printConflicts,
  readConflicts,
} from '../sync/report.js';
import { withLockedFolders } from '../sync/lock-folders.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { painterOf, print, printJson, printMessage } from '../terminal/print.js';
import { counted, errorMessage, formatBytes, printable } from '../terminal/text.js';
import { transferLine } from '../terminal/progress.js';
import { canAsk } from '../terminal/prompts.js';
import { hasErrno } from '../../dataset/errors.js';
import { bytesOf, type Manifest, type ManifestFile } from '../../service/manifest.js';
import { mediaTypeOf } from '../../dataset/media.js';
import { parseDatasetName } from '../../dataset/names.js';
import { forEachConcurrent } from '../../for-each-concurrent.js';
import { bringFiles, requireSpace, sha256Of } from '../../service/mount/bring-files.js';
import { DatasetChanged, type RemoteSource } from '../../service/mount/mount-source.js';
import { flushFolder, makeFolders } from '../../storage/folders.js';

interface Options extends RemoteOptions {
  readonly replace?: true;
  readonly ours?: true;
  readonly theirs?: true;
  readonly dryRun?: true;
}

const HELP = `
Files keep their names, and are checked against their SHA-256. Run again after ctrl-C or a lost connection, the same command
fetches only the missing files.

A file that was changed only in the dataset is fetched, and one that was changed only in the folder stays. A file that was
changed in both is a conflict: a terminal asks which version to keep, and otherwise nothing of it is written. "Changed" means
since the last push or pull between this folder and this dataset. Without one, each file that differs is a conflict.

Examples:
  $ trainyard pull railway                    into the folder railway
  $ trainyard pull railway photos
  $ trainyard pull railway photos --dry-run   prints what would be done, and changes nothing
  $ trainyard pull railway photos --theirs    in conflicts, overwrites the local file
  $ trainyard pull railway photos --replace   also removes files that were removed from the dataset

--theirs also fetches files that were removed from the folder. With --replace --theirs, the folder's images, videos and
captions become exactly those of the dataset, also where only the folder was changed.

Exit codes: 0 success, 66 there is no such dataset, 69 or 75 the service is unavailable, 73 there are conflicts or the folder
can't be written, 130 interrupted by ctrl-C.`;

/** `trainyard pull` */
export function addPullCommand(program: Command): void {
  const command = program
    .command('pull')
    .description('Download what is new in a dataset, READY or not.')
    .argument('<name>', 'name or ID of a dataset')
    .argument('[folder]', 'the folder to download into; created if it is missing (default: ./NAME)')
    .option('--replace', 'also remove from the folder unchanged files that were removed from the dataset')
    .addOption(new Option('--ours', "in conflicts, keep the folder's version").conflicts('theirs'))
    .addOption(new Option('--theirs', "in conflicts, overwrite the folder's version"))
    .option('--dry-run', 'print what would be done, and change nothing');
  onDataset(command, HELP, pull);
}

async function pull(
  { id, name }: { id: string; name: string },
  { client, url, options, signal, display }: Call<Options>,
  given: string | undefined,
): Promise<undefined> {
  const folder = given ?? parseDatasetName(name);
  const replaces = options.replace === true;
  const winner = options.theirs ? 'source' : options.ours ? 'target' : undefined;
  const task: PullTask = {
    ...{ client, url, signal, display },
    source: httpSource(client, { id, name, url }),
    folder: resolve(folder),
    rules: { winner, replaces, overrules: true },
    direction: directionFrom('dataset', { id, name }, { folder, url: options.url, replaces }),
  };
  try {
    await (options.dryRun ? pullOnce(task, options) : intoLockedFolder(task, () => pullOnce(task, options)));
  } catch (error) {
    signal.throwIfAborted();
    const isOfFolder = hasErrno(error, 'EACCES', 'EPERM', 'EROFS', 'ENOSPC', 'EDQUOT', 'ENOENT', 'ENOTDIR', 'EEXIST');
    if (isOfFolder) throw folderError(task.folder, error, "can't be written");
    if (!(error instanceof DatasetChanged)) throw error;
    const message = `the dataset was changed while it was downloaded (${error.message}). Run the same command again.`;
    throw new CommandError(EXIT.temporaryFailure, message);
  }
}

async function pullOnce(task: PullTask, { json, dryRun }: Options): Promise<void> {
  const prepared = await preparePull(task);
  const isAsking = !json && !dryRun && canAsk();
  const plan = isAsking ? await askedPlan(task, prepared) : prepared.plan;
  const { write: pulled, remove: removed, conflict: conflicts } = plan;
  const result = { dryRun, plan, ...(dryRun ? { pulled, removed, conflicts } : await runPull(task, prepared, plan)) };
  task.display.clear();
  if (result.conflicts.length + prepared.notFiles.length > 0) process.exitCode = EXIT.cannotCreate;
  if (json) return printJson(pullDocument(task, prepared, result));
  printSummary(task, prepared, result);
  await printLeftAlone(task, prepared, result);
}

async function askedPlan(task: PullTask, prepared: PreparedPull): Promise<SyncPlan> {
  const conflicts = await conflictsIn(task, prepared, prepared.plan.conflict);
  return prepared.decide(await askAboutConflicts(conflicts, task.direction, task.signal));
}

function conflictsIn(
  { client, signal }: PullTask,
  { manifest, local }: PreparedPull,
  names: readonly string[],
): Promise<Conflict[]> {
  const dataset = new Map(manifest.files.map(({ filename, upload }) => [filename, upload]));
  return readConflicts(names, { folder: local, dataset, client, datasetId: manifest.id, signal });
}

/** What was done, or with `dryRun` would be. */
interface PullResult {
  readonly dryRun: true | undefined;
  readonly plan: SyncPlan;
  readonly pulled: readonly string[];
  readonly removed: readonly string[];
  /** Files that were left alone because both sides have changed them, some perhaps during the pull. */
  readonly conflicts: readonly string[];
}

function printSummary({ folder }: PullTask, { manifest }: PreparedPull, result: PullResult): void {
  const { dryRun, plan, pulled, removed } = result;
  const unchanged = plan.same.length > 0 ? `, ${counted(plan.same.length, 'file')} unchanged` : '';
  const gone = !dryRun && removed.length > 0 ? `, ${counted(removed.length, 'file')} removed` : '';
  const fetched = `${counted(pulled.length, 'file')} (${formatBytes(bytesIn(manifest, pulled))})`;
  const target = `of ${printable(manifest.name)} into ${printable(folder)}`;
  print(`${dryRun ? 'would fetch' : 'pulled'} ${fetched} ${target}${unchanged}${gone}`);
  if (dryRun && removed.length > 0) print(`Would remove ${counted(removed.length, 'file')}: ${namesOf(removed)}.`);
}

function bytesIn({ files }: Manifest, filenames: readonly string[]): number {
  const named = new Set(filenames);
  return bytesOf(files.filter(({ filename }) => named.has(filename)));
}

async function printLeftAlone(task: PullTask, prepared: PreparedPull, { plan, conflicts }: PullResult): Promise<void> {
  const { notFiles, notStored, notFetched } = prepared;
  const paint = painterOf(process.stdout);
  for (const line of keptLines(plan, task.direction)) print(paint('yellow', line));
  if (notStored.length > 0) {
    const [are, them] = notStored.length === 1 ? ['is', 'it'] : ['are', 'them'];
    const why = `which still receives or checks ${them}, has rejected ${them} or found ${them} damaged`;
    const what = `${kindsOf(notStored)} ${are} not stored in the dataset`;
    print(paint('yellow', `${what}, ${why}: ${namesOf(notStored)}. The folder keeps ${them}.`));
  }
  if (notFetched.length > 0) {
    const are = notFetched.length === 1 ? 'is' : 'are';
    const what = `${kindsOf(notFetched)} ${are} damaged in the dataset, and ${are} not fetched`;
    print(paint('yellow', `${what}: ${namesOf(notFetched)}.`));
  }
  printConflicts(await conflictsIn(task, prepared, conflicts));
  if (notFiles.length === 0) return;
  const names = notFiles.map((name) => printable(JSON.stringify(name))).join(', ');
  printMessage(`not overwritten, because they are no files: ${names}. Move them away, and pull again.`);
}

function pullDocument(
  { folder, direction }: PullTask,
  { manifest, sides, notFiles, notStored, notFetched }: PreparedPull,
  { dryRun, plan, pulled, removed, conflicts }: PullResult,
) {
  const { same: unchanged } = plan;
  return {
    ...(dryRun && { dry_run: true }),
    ...{ name: manifest.name, folder },
    ...(dryRun ? { pull: pulled, unchanged, remove: removed } : { pulled, unchanged, removed }),
    ...(!dryRun && { bytes: bytesIn(manifest, pulled) }),
    kept: keptDocument(plan, direction),
    conflicts: conflicts.map((name) => conflictDocument(name, sides)),
    not_files: notFiles,
    not_stored: notStored,
    not_fetched: notFetched,
  };
}

const CONNECTIONS = 8;
const CONCURRENT_HASHES = 4;

/** The folder of incomplete files, removed at the end. */
const PARTIAL_FOLDER = '.trainyard-pull';

interface PullTask extends Omit<Call, 'options'> {
  readonly source: RemoteSource;
  readonly folder: string;
  readonly rules: SyncRules;
  readonly direction: SyncDirection;
}

/** An image, video or caption in the folder; `sha256` is empty for one that is not compared. */
type PulledFile = Pick<LocalFile, 'path' | 'sizeBytes' | 'version'> & { readonly sha256: string };

interface PreparedPull {
  readonly manifest: Manifest;
  readonly plan: SyncPlan;
  readonly local: ReadonlyMap<string, PulledFile>;
  /** The SHA-256 of each file in the folder, in the dataset, and when both were the same. */
  readonly sides: Readonly<Record<'folder' | 'dataset' | 'common', Hashes>>;
  /** Those of `others` that have the names of files of the dataset. */
  readonly notFiles: readonly string[];
  /** Files of the folder whose names the dataset has without a stored file. They are not in `plan`. */
  readonly notStored: readonly string[];
  /** Damaged files of the dataset that the folder does not have. */
  readonly notFetched: readonly string[];
  /** Folders and links, which may have names of files of the dataset. */
  readonly others: ReadonlySet<string>;
  readonly state: CommonState;
  /** The plan with a person's decisions about conflicts. */
  readonly decide: (decisions: Decisions) => SyncPlan;
}

/** Runs a pull while no other command uses its folder. A folder that was created and stays empty is removed again. */
async function intoLockedFolder(task: PullTask, pull: () => Promise<void>): Promise<void> {
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
async function preparePull(task: PullTask): Promise<PreparedPull> {
  const { source, folder, url, rules } = task;
  const manifest = await source.manifest({}, task.signal);
  const dataset = new Map(manifest.files.map(({ filename, upload }) => [filename, upload.sha256]));
  const folders = await realFolders([folder]).catch((error) => {
    if (hasErrno(error, 'ENOENT')) return [folder];
    throw folderError(folder, error, "can't be used as a folder");
  });
  const state = await readState({ folders, url, datasetId: manifest.id });
  const known = commonWith(state, dataset);
  const { files: local, others } = await readLocalFiles(task, (name) => dataset.has(name) || known.has(name));
  // A folder without any of these files was emptied or created again, rather than each of its files removed.
  const common = [...known.keys()].some((name) => local.has(name)) ? known : new Map<string, string>();
  const available = new Map([...dataset].filter(([name]) => !others.has(name)));
  const { unfinished, damaged } =
    manifest.status === 'READY' ? { unfinished: new Set(), damaged: [] } : await unfinishedIn(task, manifest.id);
  const notFetched = damaged.filter((name) => !local.has(name));
  const notStored = [...local.keys()].filter((name) => !dataset.has(name) && unfinished.has(name)).sort();
  const left = new Set(notStored);
  const hashes = new Map([...local].map(([name, { sha256 }]) => [name, sha256]));
  const target = new Map([...hashes].filter(([name]) => !left.has(name)));
  // A dataset that was emptied removes nothing, as a folder that was emptied does not.
  const replaces = rules.replaces && dataset.size > 0;
  const decide = (decisions: Decisions) =>
    syncPlanOf({ common, settled: state.settled, source: available, target }, { ...rules, replaces, decisions });
  const notFiles = [...others].filter((name) => dataset.has(name)).sort();
  const sides = { folder: hashes, dataset, common: state.files };
  return { manifest, plan: decide(new Map()), local, sides, others, notFiles, notStored, notFetched, state, decide };
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
async function unfinishedIn({ client, signal }: PullTask, datasetId: string) {
  const { files, awaited = [], checking = [], damaged = [], error } = await client.status(datasetId, { signal });
  const entries = [...files, ...awaited, ...checking, ...damaged, ...(error?.problems ?? [])];
  const unfinished: ReadonlySet<string> = new Set(entries.flatMap(({ filename = [] }) => filename));
  return { unfinished, damaged: damaged.map(({ filename }) => filename) };
}

/** Downloads and removes as planned, except files that change meanwhile. @throws CommandError, DatasetChanged, MountError; the system's errors */
async function runPull(task: PullTask, { manifest, local, state, sides, others }: PreparedPull, plan: SyncPlan) {
  const writes = new Set(plan.write);
  const files = manifest.files.filter(({ filename }) => writes.has(filename));
  const conflicts = [...plan.conflict];
  const folder = new Map(sides.folder);
  const [pulled, removed]: [string[], string[]] = [[], []];
  const isUntouched = (name: string, path: string) => {
    const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
    if ((stats && fileVersionOf(stats)) === local.get(name)?.version) return true;
    conflicts.push(name);
    return false;
  };
  try {
    await fetchFiles(task, manifest, files, ({ filename, upload }, partial) => {
      const path = local.get(filename)?.path ?? join(task.folder, filename);
      if (local.has(filename) || !tryLink(partial, path)) {
        if (!isUntouched(filename, path)) return;
        renameSync(partial, path);
      }
      pulled.push(filename);
      folder.set(filename, upload.sha256);
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
    const { dataset } = sides;
    const equal = [...storedSince(state.sent, dataset), ...commonChanges(state.files, folder, dataset)];
    // Whether a link was removed from the folder is unknown.
    const known = equal.filter(([name]) => !others.has(name));
    const settled = settledBy(plan, dataset, folder);
    const changes = new Map([...known, ...pulled.map((name) => [name, dataset.get(name)] as const)]);
    await changeState(state.pair, changes, { settled });
  }
  return { pulled: pulled.sort(), removed, conflicts: conflicts.sort() };
}

/** @param onReceived moves a complete file away from the folder of incomplete ones */
async function fetchFiles(
  { source, folder, display, signal }: PullTask,
  { name, files: all }: Manifest,
  files: readonly ManifestFile[],
  onReceived: (file: ManifestFile, path: string) => void,
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
function partialNameOf({ filename, upload }: ManifestFile): string {
  return `${createHash('sha256').update(`${upload.sha256} ${filename}`).digest('hex')}.partial`;
}
