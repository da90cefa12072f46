import { kindsOf } from '../folder/report.js';
import type { SyncPlan } from '../sync/compare.js';
import { type Conflict, conflictDocument, printConflicts, readConflicts } from '../sync/conflicts.js';
import { keptDocument, keptLines, namesOf } from '../sync/report.js';
import { painterOf, print, printMessage } from '../terminal/print.js';
import { counted, formatBytes, printable } from '../terminal/text.js';
import { hashesIn, type PreparedPull, type PullReport, type PullTask } from './run.js';

/** Prints the plan of `--dry-run`. */
export function printPullPlan({ manifest, plan }: PreparedPull, { folder }: PullTask): void {
  const writes = new Set(plan.write);
  const bytes = manifest.files.reduce(
    (sum, { filename, sizeBytes }) => sum + (writes.has(filename) ? sizeBytes : 0),
    0,
  );
  const rest = plan.same.length === 0 ? '' : `; ${counted(plan.same.length, 'file is', 'files are')} unchanged`;
  const target = `of "${printable(manifest.name)}" into ${printable(folder)}`;
  print(`Would fetch ${counted(plan.write.length, 'file')}, ${formatBytes(bytes)}, ${target}${rest}.`);
  if (plan.remove.length > 0) print(`Would remove ${counted(plan.remove.length, 'file')}: ${namesOf(plan.remove)}.`);
}

interface PullResult {
  readonly report: PullReport;
  readonly task: PullTask;
}

/** Prints what was fetched and removed. */
export function printPullReport({ manifest }: PreparedPull, plan: SyncPlan, { report, task }: PullResult): void {
  const { pulled, removed, bytes } = report;
  const unchanged = plan.same.length > 0 ? `, ${counted(plan.same.length, 'file')} unchanged` : '';
  const gone = removed.length > 0 ? `, ${counted(removed.length, 'file')} removed` : '';
  const target = `of ${printable(manifest.name)} into ${printable(task.folder)}`;
  print(`pulled ${counted(pulled.length, 'file')} (${formatBytes(bytes)}) ${target}${unchanged}${gone}`);
}

/** Prints the files that were left alone, and how to decide about them. */
export async function printLeftAlone(
  prepared: PreparedPull,
  plan: SyncPlan,
  { task, conflicts }: { task: PullTask; conflicts: readonly string[] },
): Promise<void> {
  const paint = painterOf(process.stdout);
  for (const line of keptLines(plan.kept, task.direction)) print(paint('yellow', line));
  if (prepared.notStored.length > 0) print(paint('yellow', notStoredLine(prepared.notStored)));
  printConflicts(await pullConflicts(task, prepared, conflicts));
  if (prepared.notFiles.length === 0) return;
  const names = prepared.notFiles.map((name) => printable(JSON.stringify(name))).join(', ');
  printMessage(`not overwritten, because they are no files: ${names}. Move them away, and pull again.`);
}

function notStoredLine(names: readonly string[]): string {
  const [are, them] = names.length === 1 ? ['is', 'it'] : ['are', 'them'];
  const why = `which still receives or checks ${them}, has rejected ${them} or found ${them} damaged`;
  return `${kindsOf(names)} ${are} not stored in the dataset, ${why}: ${namesOf(names)}. The folder keeps ${them}.`;
}

/** Both versions of files in conflict. */
export function pullConflicts(
  { client, signal }: PullTask,
  { manifest, local }: PreparedPull,
  names: readonly string[],
): Promise<Conflict[]> {
  const dataset = new Map(manifest.files.map((file) => [file.filename, file]));
  return readConflicts(names, { folder: local, dataset, client, datasetId: manifest.datasetId, signal });
}

/** The plan of `--dry-run` for `--json`. */
export function pullPlanDocument(prepared: PreparedPull, task: PullTask) {
  const { manifest, plan } = prepared;
  const { write: pull, same: unchanged, remove, conflicts } = plan;
  const rest = restDocument(prepared, plan, { task, conflicts });
  return { dry_run: true, name: manifest.name, folder: task.folder, pull, unchanged, remove, ...rest };
}

/** The result of a pull for `--json`. */
export function pullDocument(prepared: PreparedPull, plan: SyncPlan, { report, task }: PullResult) {
  const { pulled, removed, conflicts, bytes } = report;
  const rest = restDocument(prepared, plan, { task, conflicts });
  return { name: prepared.manifest.name, folder: task.folder, pulled, unchanged: plan.same, removed, bytes, ...rest };
}

function restDocument(
  { manifest, local, state, notFiles, notStored }: PreparedPull,
  { kept }: SyncPlan,
  { task, conflicts }: { task: PullTask; conflicts: readonly string[] },
) {
  const folder = new Map([...local].map(([name, { sha256 }]) => [name, sha256]));
  const sides = { folder, dataset: hashesIn(manifest), common: state?.files ?? new Map<string, string>() };
  return {
    kept: keptDocument(kept, task.direction),
    conflicts: conflicts.map((name) => conflictDocument(name, sides)),
    not_files: notFiles,
    not_stored: notStored,
  };
}
