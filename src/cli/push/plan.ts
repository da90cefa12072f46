import { constants, openAsBlob } from 'node:fs';
import { access, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { FixFlags } from '../fix/fix-files.js';
import { type FileInspector, type FolderReport, findingsIn, inspectPaths } from '../folder/inspect-files.js';
import { type FolderContents, type LocalFile, folderOf, isFolder } from '../folder/read-folder.js';
import type { Finding } from '../folder/report.js';
import { type Call, type RemoteOptions, remoteFrom } from '../remote.js';
import { commonWith, readState, realFolders } from '../sync/common-state.js';
import { type Decisions, type Hashes, type SettledConflicts, type SyncPlan, syncPlanOf } from '../sync/compare.js';
import { type SyncDirection, datasetWord, directionFrom } from '../sync/report.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { counted, printable } from '../terminal/text.js';
import { bar } from '../terminal/progress.js';
import type { Dataset, DatasetWithFiles, PushFile, Role } from '../../client/client.js';
import { ServiceError, hasErrno } from '../../dataset/errors.js';
import { isTextCaption, stemOf } from '../../dataset/media.js';
import { parseDatasetName } from '../../dataset/names.js';
import { forEachConcurrent } from '../../for-each-concurrent.js';

export interface PushFlags extends RemoteOptions, FixFlags {
  readonly name?: string;
  readonly role?: Role;
  readonly replace?: true;
  readonly watch?: true;
  readonly ours?: true;
  readonly theirs?: true;
  readonly follow?: true;
  readonly skipBad?: true;
  readonly allowUncaptioned?: true;
  readonly pairs?: true;
  readonly allowUnpaired?: true;
  readonly concurrency?: number;
  readonly trigger?: string;
  readonly captionAll?: string;
  readonly wait: boolean;
}

export interface PushTools extends Pick<Call, 'client' | 'display' | 'signal'> {
  readonly inspector: FileInspector;
}

export interface PushTask extends PushTools {
  readonly flags: PushFlags;
  readonly paths: readonly string[];
  /** Files that were found already, as in an archive. Otherwise the paths are read. */
  readonly contents?: FolderContents;
  /** Need not exist yet. */
  readonly name: string;
  /** `undefined` leaves an existing dataset's role as it is. */
  readonly role: Role | undefined;
  /** The service, and the real paths of the folders, or of an archive. */
  readonly pair: { readonly url: string; readonly folders: readonly string[] };
  /** All paths are folders, so that a missing file was removed. */
  readonly isWholeFolder: boolean;
  readonly directionTo: (dataset: { id: string; name: string }) => SyncDirection;
}

export async function pushTaskFrom(
  flags: PushFlags,
  { paths, name, role, tools }: { paths: readonly string[]; name: string; role: Role | undefined; tools: PushTools },
): Promise<PushTask> {
  const areFolders = await Promise.all(paths.map(isFolder));
  const folders = await realFolders(paths.map((path, i) => (areFolders[i] ? path : dirname(path))));
  const folder = paths.length === 1 && areFolders[0] ? paths[0] : await folderOf(paths);
  const replaces = flags.replace === true;
  return {
    ...tools,
    ...{ flags, paths, name, role },
    pair: { folders, url: remoteFrom(flags).url },
    isWholeFolder: areFolders.every(Boolean),
    directionTo: (dataset) => directionFrom('folder', dataset, { folder, url: flags.url, replaces }),
  };
}

/** @throws CommandError with 65 if the dataset of the push has another role */
export async function findOrCreate({ client, name, role, signal }: PushTask): Promise<Dataset> {
  const found = await client.find(name, { signal });
  if (found !== undefined) return found;
  const options = role === undefined || role === 'training' ? { signal } : { signal, role };
  const created = await client.create(name, options).catch(async (error) => {
    // Another client may have created it after `find`.
    const other = await client.find(name, { signal });
    if (other === undefined) throw error;
    return other;
  });
  requireRole(created, role);
  return created;
}

/** The given name, or else the one of what is sent. @param flag before a name. @throws CommandError with 65 if it is no name */
export function datasetNameFor(given: string | undefined, own: string, flag = ''): string {
  const raw = given ?? own;
  try {
    return parseDatasetName(raw);
  } catch (error) {
    if (!(error instanceof ServiceError) || given !== undefined) throw error;
    const allowed = raw.replace(/[^\p{L}\p{M}\p{Nd} ._-]/gu, '_').replace(/^[. ]+/, '') || 'my dataset';
    const message = `${JSON.stringify(own)} can't name a dataset. ${error.message} Choose another name, such as ${flag}${JSON.stringify(allowed)}.`;
    throw new CommandError(EXIT.dataError, message, { cause: error });
  }
}

/** @throws CommandError with 65 */
export function requireRole({ id, name, role }: Dataset, wanted: Role | undefined): void {
  if (wanted === undefined || wanted === (role ?? 'training')) return;
  const shown = `"${printable(name)}"`;
  const message =
    role === undefined
      ? `this service has no ${wanted} datasets, and ${shown} is an ordinary one.`
      : `${shown} is a ${printable(role)} dataset. To make it a ${wanted} dataset, run: trainyard role ${datasetWord({ id, name })} ${wanted}`;
  throw new CommandError(EXIT.dataError, message);
}

/** Only trainyard reports counts; other services of this API honour no conditions. */
export function isConditional({ counts }: Dataset): boolean {
  return counts !== undefined;
}

const CONCURRENT_HASHES = 4;

type FileProblem = Finding & { readonly filename: string };

interface SentFile extends PushFile {
  /** Frees what `open` has unpacked. */
  readonly discard?: () => Promise<void>;
}

/** Local files, the files of a dataset, and what both last had in common. */
interface ComparedFiles {
  readonly task: PushTask;
  readonly inspection: FolderReport;
  readonly dataset: DatasetWithFiles | undefined;
  readonly role: Role;
  /** `dataset` includes files that it still checks. */
  readonly sides: {
    readonly folder: Hashes;
    readonly dataset: Hashes;
    readonly common: Hashes;
    readonly settled?: SettledConflicts;
  };
  /** In the folder, but not readable or sendable. */
  readonly unusable: ReadonlySet<string>;
  readonly decisions?: Decisions;
  readonly without?: readonly FileProblem[];
}

export interface PushPlan extends ComparedFiles {
  /** Its findings describe the dataset after the push. */
  readonly report: FolderReport;
  readonly files: readonly SentFile[];
  readonly toSend: readonly string[];
  readonly sync: SyncPlan;
  readonly generated: readonly string[];
  readonly leftOut: readonly Finding[];
  readonly blockers: readonly Finding[];
  readonly toRemove: readonly string[];
  readonly toWithdraw: readonly string[];
}

/** Compares the files with the dataset. @throws CommandError with 65 if its role is not the task's */
export async function preparePush(task: PushTask): Promise<PushPlan> {
  const { client, signal, pair } = task;
  const found = await client.find(task.name, { signal });
  if (found !== undefined) requireRole(found, task.role);
  const role = found?.role ?? task.role ?? 'training';
  const inspection = await inspectPaths(task.paths, { ...task, follow: task.flags.follow, role });
  const dataset = found && (await client.status(found.id, { signal }));
  const folder = await hashesOf(inspection, task);
  const { faults, unreadable, skipped } = inspection;
  const names = [...faults, ...unreadable, ...skipped].map(({ filename }) => filename.normalize('NFC'));
  const compared = { task, inspection, dataset, role, unusable: new Set(names) };
  if (dataset === undefined) return planOf({ ...compared, sides: { folder, dataset: new Map(), common: new Map() } });
  const received = (dataset.checking ?? []).map(({ filename, sha256 }) => [filename, sha256] as const);
  const present = new Map([...storedHashes(dataset), ...received]);
  const state = await readState({ ...pair, datasetId: dataset.id });
  const common = commonWith(state, present);
  // A damaged file is to be repaired from the folder, not taken for one that was removed from the dataset.
  for (const { filename } of dataset.damaged ?? []) common.delete(filename);
  return planOf({ ...compared, sides: { folder, dataset: present, common, settled: state.settled } });
}

/** The SHA-256 of the files; empty for one that became unreadable, which then fails with the reason when it is sent. */
async function hashesOf({ inspected }: FolderReport, { inspector, display, signal }: PushTask): Promise<Hashes> {
  const hashes = new Map<string, string>();
  await forEachConcurrent(inspected, CONCURRENT_HASHES, async ({ file }) => {
    signal.throwIfAborted();
    hashes.set(file.filename, await inspector.sha256(file).catch(() => ''));
    const total = counted(inspected.length, 'file');
    display.update(() => [`${bar(hashes.size, inspected.length)} compared ${hashes.size} of ${total}`]);
  });
  display.clear();
  return hashes;
}

export function storedHashes(dataset: DatasetWithFiles | undefined): Hashes {
  // Without SHA-256, `planOf` replaces the files in any case.
  return new Map(dataset?.files.map(({ filename, size_bytes, sha256 }) => [filename, sha256 ?? `size ${size_bytes}`]));
}

export function planOf(compared: ComparedFiles): PushPlan {
  const { task, inspection, sides, dataset, unusable, decisions = new Map(), without = [] } = compared;
  const { replace: replaces = false, skipBad: skipsBad = false, ours, theirs, watch } = task.flags;
  // Without ETags, a change in the dataset can't be detected.
  const isBlind = dataset !== undefined && !isConditional(dataset);
  const winner = theirs ? 'target' : ours || isBlind ? 'source' : undefined;
  // `replaces` must not remove files that the folder has and can't send.
  const isInScope = (name: string) => sides.folder.has(name) || (!unusable.has(name) && task.isWholeFolder);
  const target = new Map([...sides.dataset].filter(([name]) => isInScope(name)));
  const rules = { winner, replaces, overrules: !watch, decisions } as const;
  const sync = syncPlanOf({ ...sides, source: sides.folder, target }, rules);
  const leftOut = new Map<string, Finding>(without.map((problem) => [problem.filename, problem]));
  let after = filesAfter(compared, sync, leftOut);
  // Leaving out one file can give another one a problem, as the image of a caption does.
  for (let bad = badIn(after, leftOut); skipsBad && bad.length > 0; bad = badIn(after, leftOut)) {
    for (const problem of bad) leftOut.set(problem.filename, problem);
    after = filesAfter(compared, sync, leftOut);
  }
  const { inspected, generated, errors, warnings } = after;
  const written = sync.write.filter((name) => !leftOut.has(name));
  const pushed = new Set([...written, ...sync.same]);
  const files = inspected.filter(({ file }) => pushed.has(file.filename)).map(({ file }) => pushFile(file, task));
  const faults = skipsBad ? [] : inspection.faults;
  const isAbsent = (name: string) => !generated.includes(name);
  const captionText = generatedText(task.flags);
  return {
    ...compared,
    // The service decodes what this check left to it.
    report: {
      ...inspection,
      faults,
      findings: { errors, warnings: warnings.filter(({ code }) => code !== 'NOT_FULLY_CHECKED') },
    },
    files: [...files, ...generated.map((name) => captionFile(name, captionText))],
    toSend: [...written, ...generated],
    sync,
    generated,
    leftOut: skipsBad ? [...inspection.faults, ...leftOut.values()] : [],
    blockers: [...faults, ...errors],
    toRemove: sync.remove.filter(isAbsent),
    toWithdraw: replaces ? unfinishedIn(compared).filter(isAbsent) : [],
  };
}

/** The files with errors, and the captions of media that are left out. */
function badIn(
  { inspected, errors, warnings }: ReturnType<typeof filesAfter>,
  leftOut: ReadonlyMap<string, Finding>,
): FileProblem[] {
  const stems = new Set([...leftOut.keys()].map(stemOf));
  const sent = new Set(inspected.map(({ file }) => file.filename));
  return [...errors, ...warnings].flatMap(({ severity, code, filename = '', message }) => {
    const isLeft = stems.has(stemOf(filename));
    const isOrphan = code === 'ORPHAN_CAPTION' && isLeft && sent.has(filename);
    if (isOrphan) return { code, filename, message: `${filename} is the caption of a file that is left out.` };
    if (filename === '' || severity !== 'error') return [];
    const isBare = code === 'MISSING_CAPTION' && isLeft;
    return { code, filename, message: isBare ? `${filename} has a caption that is left out.` : message };
  });
}

/** Rejected, expired and pending uploads of files that neither side has. */
function unfinishedIn({ dataset, sides, unusable }: ComparedFiles): string[] {
  const withProblems = (dataset?.error?.problems ?? []).flatMap(({ filename }) => filename ?? []);
  const awaited = (dataset?.awaited ?? []).map(({ filename }) => filename);
  const unfinished = [...withProblems.filter((name) => !sides.dataset.has(name)), ...awaited];
  return [...new Set(unfinished)].filter((name) => !sides.folder.has(name) && !unusable.has(name));
}

/** The local files that the dataset will have, the captions to generate, and the remaining problems. */
function filesAfter(
  { task, inspection, role, sides, unusable }: ComparedFiles,
  sync: SyncPlan,
  leftOut: ReadonlyMap<string, Finding>,
) {
  const left = [...sync['removed-from-target'], ...sync['target-wins'], ...sync.conflict];
  // Neither sent nor in the dataset, such as a file that was removed from it.
  const heldBack = new Set(left.filter((name) => !sides.dataset.has(name)));
  const inspected = inspection.inspected.filter(
    ({ file: { filename } }) => !leftOut.has(filename) && !heldBack.has(filename),
  );
  const sent = new Set(inspected.map(({ file }) => file.filename));
  const removed = new Set(sync.remove);
  const kept = [...sides.dataset.keys()].filter((name) => !sent.has(name) && !removed.has(name));
  const isUncaptioned = ({ code, filename = '' }: Finding) => code === 'MISSING_CAPTION' && sent.has(filename);
  let { errors, warnings } = findingsIn(inspected, { others: kept, role });
  let generated: string[] = [];
  if (generatedText(task.flags) !== '') {
    // A person's unusable caption is fixed, never replaced by a generated one.
    const existing = new Set([...sides.folder.keys(), ...unusable]);
    const captions = errors.filter(isUncaptioned).map(({ filename = '' }) => `${stemOf(filename)}.txt`);
    const captionStems = new Set([...existing].filter(isTextCaption).map(stemOf));
    generated = [...new Set(captions)].filter((name) => !captionStems.has(stemOf(name)));
    ({ errors, warnings } = findingsIn(inspected, { others: [...kept, ...generated], role }));
  }
  const counts = (problem: Finding) => {
    if (problem.filename === undefined) return heldBack.size === 0;
    const isAllowed = task.flags.allowUncaptioned || heldBack.has(`${stemOf(problem.filename)}.txt`);
    return isUncaptioned(problem) ? !isAllowed : sent.has(problem.filename);
  };
  return { inspected, generated, errors: errors.filter(counts), warnings };
}

function pushFile(file: LocalFile, { inspector }: { inspector: FileInspector }): SentFile {
  const { filename: name, sizeBytes: size, path } = file;
  const sent = { name, size, sha256: () => inspector.sha256(file), open: () => openFile(file) };
  return file.unpack === undefined ? sent : { ...sent, discard: () => rm(path, { force: true }) };
}

/** The client's `push` rejects a file whose size has changed. */
async function openFile({ filename, path, unpack }: LocalFile): Promise<Blob> {
  try {
    await unpack?.();
    await access(path, constants.R_OK);
    // The blob reads lazily, and fails if the file changes after this.
    return await openAsBlob(path);
  } catch (error) {
    const isGone = hasErrno(error, 'ENOENT');
    const reason = isGone ? 'is gone: it was deleted after the folder was read' : `can't be opened: ${String(error)}`;
    throw new CommandError(EXIT.ioError, `${printable(filename)} ${reason}.`, { cause: error });
  }
}

/** Empty if no captions are generated. */
function generatedText({ trigger, captionAll }: PushFlags): string {
  return [trigger, captionAll].filter(Boolean).join(', ');
}

function captionFile(name: string, text: string): PushFile {
  const blob = new Blob([text]);
  return { name, size: blob.size, open: async () => blob };
}
