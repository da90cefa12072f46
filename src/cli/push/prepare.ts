import { MAX_LISTED } from '../../api/limits.js';
import type { Dataset, DatasetWithFiles, PushFile, TrainyardClient } from '../../client/client.js';
import { shellWord } from '../../command-line.js';
import type { Role } from '../../dataset/dataset.js';
import { forEachConcurrent } from '../../for-each-concurrent.js';
import { type FileInspector, type FolderReport, inspectPaths } from '../folder/inspect-files.js';
import { type LocalFile, requireStillThere } from '../folder/read-folder.js';
import { CommonState, type SyncPair } from '../sync/common-state.js';
import { type Decisions, type Hashes, storedSince } from '../sync/compare.js';
import type { SyncDirection } from '../sync/report.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { bar, type ProgressDisplay } from '../terminal/progress.js';
import { counted, printable } from '../terminal/text.js';
import { type PlanRules, type PushPlan, type PushProblem, type PushSides, planOf } from './plan.js';

const CONCURRENT_HASHES = 4;

/** Local files, and the dataset to push them to. */
export interface PushTask {
  readonly client: TrainyardClient;
  readonly inspector: FileInspector;
  readonly display: ProgressDisplay;
  readonly signal: AbortSignal;
  readonly paths: readonly string[];
  /** The dataset's name or ID; the dataset need not exist yet. */
  readonly name: string;
  /** The role that the dataset gets or must have; `undefined` leaves an existing one as it is. */
  readonly role?: Role | undefined;
  readonly follow: boolean;
  readonly rules: PlanRules;
  /** Files sent at a time; the client's default if `undefined`. */
  readonly concurrency: number | undefined;
  /** How to say what stays in a dataset as it is. */
  readonly directionTo: (dataset: { id: string; name: string }) => SyncDirection;
  readonly pair: Omit<SyncPair, 'datasetId'> & { readonly isWhole: boolean };
  /** Waits for READY or FAILED after the last file. */
  readonly waits: boolean;
}

/** Local files, compared with those of a dataset. */
export interface PreparedPush {
  readonly plan: PushPlan;
  /** The files that `plan` is about. */
  readonly local: ReadonlyMap<string, LocalFile>;
  /** `undefined` if it does not exist yet. */
  readonly dataset: DatasetWithFiles | undefined;
  /** The plan once a person has chosen the winners for files in conflict, without these files. */
  readonly decide: (decisions: Decisions, without?: readonly PushProblem[]) => PushPlan;
}

/**
 * Inspects the files, reads the dataset, and compares the two. Changes nothing.
 *
 * @throws CommandError with 66 if the folder is removed meanwhile
 */
export async function preparePush(task: PushTask): Promise<PreparedPush> {
  const { client, signal, inspector } = task;
  const found = await client.find(task.name, { signal });
  const role = roleFor(task, found);
  const report = await inspectPaths(task.paths, { ...task, role });
  const dataset = found && (await client.status(found.id, { signal }));
  const sides = await sidesOf(task, report, dataset);
  const decide = (decisions: Decisions, without: readonly PushProblem[] = []) =>
    planOf(report, { sides, role, rules: rulesFor(task, dataset), decisions, without, inspector });
  const local = new Map(report.inspected.map(({ file }) => [file.filename, file]));
  return { plan: decide(new Map()), local, dataset, decide };
}

/** @throws CommandError with 65 if the dataset has another role than that of the task */
function roleFor({ role }: PushTask, dataset: Dataset | undefined): Role {
  if (dataset === undefined) return role ?? 'training';
  if (role !== undefined && role !== (dataset.role ?? 'training')) throw wrongRole(dataset, role);
  return dataset.role ?? 'training';
}

/** The error for a dataset that has another role than a command needs. */
export function wrongRole({ id, name, role }: Dataset, wanted: Role): CommandError {
  const shown = `"${printable(name)}"`;
  const word = shellWord(name.startsWith('-') ? id : name);
  const message =
    role === undefined
      ? `this service has no ${wanted} datasets, and ${shown} is an ordinary one.`
      : `${shown} is a ${printable(role)} dataset. To make it a ${wanted} dataset, run: trainyard role ${word} ${wanted}`;
  return new CommandError(EXIT.dataError, message);
}

async function sidesOf(
  { paths, pair, inspector, display, signal }: PushTask,
  { inspected, faults, unreadable }: FolderReport,
  dataset: DatasetWithFiles | undefined,
): Promise<PushSides> {
  const folder = new Map<string, string>();
  await forEachConcurrent(inspected, CONCURRENT_HASHES, async ({ file }) => {
    signal.throwIfAborted();
    // A file that can't be read any more differs from all; sending it fails with the reason.
    folder.set(file.filename, await inspector.sha256(file).catch(() => ''));
    display.update(() => [
      `${bar(folder.size, inspected.length)} compared ${folder.size} of ${counted(inspected.length, 'file')}`,
    ]);
  });
  display.clear();
  if ([...folder.values()].includes('')) await requireStillThere(paths);
  const withProblems = (dataset?.error?.problems ?? []).flatMap(({ filename }) => filename ?? []);
  const stored = dataset === undefined ? new Map() : storedHashes(dataset);
  const damaged = new Map((dataset?.damaged ?? []).map(({ filename, sha256 = '' }) => [filename, sha256]));
  const state = dataset && (await CommonState.open({ ...pair, datasetId: dataset.id }));
  const sent = state?.sent ?? new Map<string, string>();
  const awaited = dataset === undefined ? new Map() : awaitedOf(dataset, storedSince(sent, folder));
  const received = new Map<string, string>();
  for (const { filename, sha256 } of dataset?.checking ?? []) if (sha256 !== undefined) received.set(filename, sha256);
  const present = new Map([...stored, ...awaited, ...received]);
  const common = new Map([...(state?.files ?? []), ...storedSince(sent, present)]);
  return {
    folder,
    dataset: present,
    stored,
    awaited: new Set(awaited.keys()),
    checking: new Set(storedSince(sent, received).keys()),
    damaged,
    // The folder's file repairs a damaged one. Otherwise, it would be one that was removed from the dataset.
    common: new Map([...common].filter(([name]) => !damaged.has(name))),
    unfinished: [
      ...withProblems.filter((name) => !present.has(name)),
      ...(dataset?.awaited ?? []).map(({ filename }) => filename),
    ],
    unusable: new Set([...faults, ...unreadable].map(({ filename }) => filename.normalize('NFC'))),
    isWholeFolder: pair.isWhole,
  };
}

/** The files that a dataset has stored. */
export function storedHashes({ files }: DatasetWithFiles): Hashes {
  // A service that reports no SHA-256 has its files replaced in any case, as `rulesFor` says.
  return new Map(files.map(({ filename, size_bytes, sha256 }) => [filename, sha256 ?? `size ${size_bytes}`]));
}

/** Of files of the folder that were sent, those that the service has yet to find in its bucket. */
function awaitedOf({ awaited = [] }: DatasetWithFiles, sent: Hashes): Hashes {
  const names = new Set(awaited.map(({ filename }) => filename));
  return new Map([...sent].filter(([name]) => names.has(name) || names.size >= MAX_LISTED));
}

/** A service that has no ETags can't tell whether a file was changed there. */
function rulesFor({ rules }: PushTask, dataset: DatasetWithFiles | undefined): PlanRules {
  return dataset === undefined || isConditional(dataset) ? rules : { ...rules, winner: rules.winner ?? 'source' };
}

/** Only trainyard reports counts; other services of this API honour no conditions. */
export function isConditional({ counts }: Dataset): boolean {
  return counts !== undefined;
}

/** The ETags of files that the dataset has stored, damaged ones included; null for names that it does not have. */
export function etagsOf(
  files: readonly PushFile[],
  { stored, damaged }: Pick<PushSides, 'stored' | 'damaged'>,
): Record<string, string | null> {
  const etagOf = (sha256: string | undefined) => (sha256 === undefined ? null : `"${sha256}"`);
  return Object.fromEntries(files.map(({ name }) => [name, etagOf(stored.get(name) ?? damaged.get(name))]));
}
