import { conflictDocument, printConflicts } from '../sync/conflicts.js';
import { keptDocument, namesOf } from '../sync/report.js';
import { EXIT } from '../terminal/exit-codes.js';
import { print } from '../terminal/print.js';
import { counted, formatBytes } from '../terminal/text.js';
import { conflictsOf, printKept } from './output.js';
import type { PreparedPush, PushTask } from './prepare.js';

/** What a push would do, for `--json`. */
export function dryRunDocument(task: PushTask, prepared: PreparedPush): Record<string, unknown> {
  const { plan, dataset } = prepared;
  const { sync, sides, toSend } = plan;
  const { bytes, unchanged, remove, direction } = intentOf(task, prepared);
  return {
    dry_run: true,
    name: task.name,
    exists: dataset !== undefined,
    send: toSend,
    send_bytes: bytes,
    unchanged,
    remove,
    kept: keptDocument(sync.kept, direction),
    conflicts: sync.conflicts.map((filename) => conflictDocument(filename, sides)),
  };
}

/** Prints what a push would do. */
export async function printDryRun(task: PushTask, prepared: PreparedPush): Promise<void> {
  const { plan, dataset } = prepared;
  const { bytes, unchanged, remove, direction } = intentOf(task, prepared);
  const target = dataset === undefined ? `a new dataset "${task.name}"` : `"${task.name}"`;
  const rest = unchanged === 0 ? '' : `; ${counted(unchanged, 'file is', 'files are')} unchanged`;
  print(`Would send ${counted(plan.toSend.length, 'file')}, ${formatBytes(bytes)}, to ${target}${rest}.`);
  if (remove.length > 0) print(`Would remove ${counted(remove.length, 'file')}: ${namesOf(remove)}.`);
  printKept(plan, direction);
  printConflicts(await conflictsOf(task, prepared, plan.sync.conflicts));
}

/** 73 if there are conflicts, otherwise 0. */
export function dryRunExitCode({ plan }: PreparedPush): number {
  return plan.sync.conflicts.length > 0 ? EXIT.cannotCreate : 0;
}

function intentOf(task: PushTask, { plan, dataset }: PreparedPush) {
  const { files, toSend } = plan;
  const sent = new Set(toSend);
  return {
    bytes: files.reduce((sum, file) => sum + (sent.has(file.name) ? file.size : 0), 0),
    unchanged: files.length - toSend.length,
    remove: [...plan.toRemove, ...plan.toWithdraw],
    direction: task.directionTo(dataset ?? { id: '', name: task.name }),
  };
}
