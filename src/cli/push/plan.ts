import { constants, openAsBlob } from 'node:fs';
import { access } from 'node:fs/promises';
import type { DatasetWithFiles, PushFile } from '../../client/client.js';
import type { Role } from '../../dataset/dataset.js';
import { hasErrno } from '../../dataset/errors.js';
import { mediaTypeOf, stemOf } from '../../dataset/media.js';
import { forEachConcurrent } from '../../for-each-concurrent.js';
import { type FileInspector, type FolderReport, findingsIn, inspectPaths } from '../folder/inspect-files.js';
import type { LocalFile } from '../folder/read-folder.js';
import { CommonState } from '../sync/common-state.js';
import { type Decisions, type Hashes, type SyncPlan, syncPlanOf } from '../sync/compare.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { bar } from '../terminal/progress.js';
import { counted, printable } from '../terminal/text.js';
import { isConditional, type PushTask, requireRole } from './task.js';

const CONCURRENT_HASHES = 4;

/** A problem with one file; without `filename`, with all files together. */
export interface PushProblem {
  readonly code: string;
  readonly filename?: string;
  readonly message: string;
}

/** Local files, compared with those of a dataset and with what both last had in common. */
interface ComparedFiles {
  readonly task: PushTask;
  readonly inspection: FolderReport;
  readonly dataset: DatasetWithFiles | undefined;
  readonly role: Role;
  /** `dataset` has the files that it has received and still checks. */
  readonly sides: { readonly folder: Hashes; readonly dataset: Hashes; readonly common: Hashes };
  /** Names of files in the folder that can't be read or sent. */
  readonly unusable: ReadonlySet<string>;
  /** The winners that a person chose for files in conflict. */
  readonly decisions?: Decisions;
  readonly without?: readonly (PushProblem & { readonly filename: string })[];
}

/** What a push will send and remove. */
export interface PushPlan extends ComparedFiles {
  /** Its findings are those of the dataset after the push. */
  readonly report: FolderReport;
  readonly files: readonly PushFile[];
  readonly toSend: readonly string[];
  readonly sync: SyncPlan;
  readonly generated: readonly string[];
  readonly leftOut: readonly PushProblem[];
  readonly blockers: readonly PushProblem[];
  readonly toRemove: readonly string[];
  readonly toWithdraw: readonly string[];
}

/**
 * Inspects the files, reads the dataset, and compares the two. Changes nothing.
 *
 * @throws CommandError with 65 if the dataset has another role than that of the task
 */
export async function preparePush(task: PushTask): Promise<PushPlan> {
  const { client, signal, pair } = task;
  const found = await client.find(task.name, { signal });
  if (found !== undefined) requireRole(found, task.role);
  const role = found?.role ?? task.role ?? 'training';
  const inspection = await inspectPaths(task.paths, { ...task, follow: task.flags.follow, role });
  const dataset = found && (await client.status(found.id, { signal }));
  const folder = await hashesOf(inspection, task);
  const names = [...inspection.faults, ...inspection.unreadable].map(({ filename }) => filename.normalize('NFC'));
  const compared = { task, inspection, dataset, role, unusable: new Set(names) };
  if (dataset === undefined) return planOf({ ...compared, sides: { folder, dataset: new Map(), common: new Map() } });
  const received = (dataset.checking ?? []).map(({ filename, sha256 }) => [filename, sha256] as const);
  const present = new Map([...storedHashes(dataset), ...received]);
  const common = (await CommonState.open({ ...pair, datasetId: dataset.id })).commonWith(present);
  // The folder's file repairs one that a recheck found damaged. Otherwise, it would be one that was removed from the dataset.
  for (const { filename } of dataset.damaged ?? []) common.delete(filename);
  return planOf({ ...compared, sides: { folder, dataset: present, common } });
}

/** The SHA-256 of the files; empty for one that can't be read any more: it differs from all, and sending it fails with the reason. */
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

/** The files that a dataset has stored. */
export function storedHashes(dataset: DatasetWithFiles | undefined): Hashes {
  // A service that reports no SHA-256 has its files replaced in any case, as `planOf` says.
  return new Map(dataset?.files.map(({ filename, size_bytes, sha256 }) => [filename, sha256 ?? `size ${size_bytes}`]));
}

/** Decides which local files a push sends, and which files of the dataset it removes. */
export function planOf(compared: ComparedFiles): PushPlan {
  const { task, inspection, sides, dataset, unusable, decisions = new Map(), without = [] } = compared;
  const { rules, skipsBad } = task;
  // A service that has no ETags can't tell whether a file was changed there.
  const winner = dataset === undefined || isConditional(dataset) ? rules.winner : (rules.winner ?? 'source');
  // `replaces` must not remove files from the dataset that are in the folder and can't be sent.
  const isInScope = (name: string) =>
    sides.folder.has(name) || (!unusable.has(name) && (task.isWholeFolder || rules.replaces));
  const target = new Map([...sides.dataset].filter(([name]) => isInScope(name)));
  const sync = syncPlanOf({ common: sides.common, source: sides.folder, target }, { ...rules, winner, decisions });
  const leftOut = new Map<string, PushProblem>(without.map((problem) => [problem.filename, problem]));
  let after = filesAfter(compared, sync, leftOut);
  // A file that is left out can be the reason why another one has a problem, such as the image of a caption.
  while (skipsBad && after.errors.some(({ filename }) => filename !== undefined)) {
    for (const error of after.errors) if (error.filename !== undefined) leftOut.set(error.filename, error);
    after = filesAfter(compared, sync, leftOut);
  }
  const { inspected, generated, errors, warnings } = after;
  const written = sync.write.filter((name) => !leftOut.has(name));
  const pushed = new Set([...written, ...sync.same]);
  const files = inspected.filter(({ file }) => pushed.has(file.filename)).map(({ file }) => pushFile(file, task));
  const faults = skipsBad ? [] : inspection.faults;
  // A caption that is generated takes the place of one that would be removed.
  const isAbsent = (name: string) => !generated.includes(name);
  return {
    ...compared,
    // The service decodes what this check left to it, and has the last word about what is sent.
    report: {
      ...inspection,
      faults,
      findings: { errors, warnings: warnings.filter(({ code }) => code !== 'NOT_FULLY_CHECKED') },
    },
    files: [...files, ...generated.map((name) => captionFile(name, task.captionText ?? ''))],
    toSend: [...written, ...generated],
    sync,
    generated,
    leftOut: skipsBad ? [...inspection.faults, ...leftOut.values()] : [],
    blockers: [...faults, ...errors],
    toRemove: sync.remove.filter(isAbsent),
    toWithdraw: rules.replaces ? unfinishedIn(compared).filter(isAbsent) : [],
  };
}

/** Names of rejected, expired and pending uploads that neither the folder nor the dataset has a file of. */
function unfinishedIn({ dataset, sides, unusable }: ComparedFiles): string[] {
  const withProblems = (dataset?.error?.problems ?? []).flatMap(({ filename }) => filename ?? []);
  const awaited = (dataset?.awaited ?? []).map(({ filename }) => filename);
  const unfinished = [...withProblems.filter((name) => !sides.dataset.has(name)), ...awaited];
  return [...new Set(unfinished)].filter((name) => !sides.folder.has(name) && !unusable.has(name));
}

/** The local files that the dataset has after the push, the captions to generate, and the problems that remain. */
function filesAfter(
  { task, inspection, role, sides, unusable }: ComparedFiles,
  sync: SyncPlan,
  leftOut: ReadonlyMap<string, PushProblem>,
) {
  const left = [...sync.kept['removed-from-target'], ...sync.kept['target-wins'], ...sync.conflicts];
  // Neither sent nor in the dataset, such as a file that was removed from it.
  const heldBack = new Set(left.filter((name) => !sides.dataset.has(name)));
  const inspected = inspection.inspected.filter(
    ({ file: { filename } }) => !leftOut.has(filename) && !heldBack.has(filename),
  );
  const sent = new Set(inspected.map(({ file }) => file.filename));
  const removed = new Set(sync.remove);
  const kept = [...sides.dataset.keys()].filter((name) => !sent.has(name) && !removed.has(name));
  const isUncaptioned = ({ code, filename = '' }: PushProblem) => code === 'MISSING_CAPTION' && sent.has(filename);
  let { errors, warnings } = findingsIn(inspected, { others: kept, role });
  let generated: string[] = [];
  if (task.captionText !== undefined) {
    // A caption that can't be used was written by a person: it is fixed, never replaced by a generated one.
    const existing = new Set([...sides.folder.keys(), ...unusable]);
    const captions = errors.filter(isUncaptioned).map(({ filename = '' }) => `${stemOf(filename)}.txt`);
    const captionStems = new Set([...existing].filter((name) => mediaTypeOf(name)?.kind === 'caption').map(stemOf));
    generated = [...new Set(captions)].filter((name) => !captionStems.has(stemOf(name)));
    ({ errors, warnings } = findingsIn(inspected, { others: [...kept, ...generated], role }));
  }
  const counts = (problem: PushProblem) => {
    if (problem.filename === undefined) return heldBack.size === 0;
    const isAllowed = task.flags.allowUncaptioned || heldBack.has(`${stemOf(problem.filename)}.txt`);
    return isUncaptioned(problem) ? !isAllowed : sent.has(problem.filename);
  };
  return { inspected, generated, errors: errors.filter(counts), warnings };
}

function pushFile(file: LocalFile, { inspector }: { inspector: FileInspector }): PushFile {
  const { filename: name, sizeBytes: size } = file;
  return { name, size, sha256: () => inspector.sha256(file), open: () => openFile(file) };
}

/** Opens the file as it is now; the client's `push` rejects it if its size has changed. */
async function openFile({ filename, path }: LocalFile): Promise<Blob> {
  try {
    await access(path, constants.R_OK);
    // Reads the bytes while they are sent, and fails if the file changes after this.
    return await openAsBlob(path);
  } catch (error) {
    const isGone = hasErrno(error, 'ENOENT');
    const reason = isGone ? 'is gone: it was deleted after the folder was read' : `can't be opened: ${String(error)}`;
    throw new CommandError(EXIT.ioError, `${printable(filename)} ${reason}.`, { cause: error });
  }
}

function captionFile(name: string, text: string): PushFile {
  const blob = new Blob([text]);
  return { name, size: blob.size, open: async () => blob };
}
