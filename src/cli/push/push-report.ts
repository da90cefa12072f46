import type { DatasetWithFiles, PushResult } from '../../client/client.js';
import { CommonState } from '../sync/common-state.js';
import { type Hashes, storedSince } from '../sync/compare.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { printable } from '../terminal/text.js';
import type { PushPlan } from './plan.js';
import { isConditional, type PushTask, storedHashes } from './prepare.js';

/** The result of a push. */
export interface PushReport {
  readonly dataset: DatasetWithFiles;
  /** Without the files that are in conflict. */
  readonly result: PushResult;
  /** Files removed from the dataset. */
  readonly removed: readonly string[];
  /** Files that were left alone because both sides have changed them, some perhaps during the push. */
  readonly conflicts: readonly string[];
  /** Files that the service has accepted and may reject yet: it still checks them, or has yet to find them in its bucket. */
  readonly pending: Hashes;
}

/** The report with a later state of the dataset: pending files are stored, rejected or in conflict once it has no uploads. */
export function laterReport(plan: PushPlan, report: PushReport, dataset: DatasetWithFiles): PushReport {
  const { result, pending } = report;
  if (pending.size === 0 || dataset.status === 'UPLOADING') return { ...report, dataset };
  const stored = storedHashes(dataset);
  const lost = new Set([...pending.keys()].filter((name) => stored.get(name) !== pending.get(name)));
  const isLeft = (name: string) => !lost.has(name);
  const isChanged = (name: string) => stored.get(name) !== plan.sides.stored.get(name);
  const reasons = reasonsOf(dataset);
  const failed = [...lost]
    .filter((name) => !isChanged(name))
    .map((name) => {
      const reason = reasons.get(name) ?? `${name} was sent, and the dataset does not have it.`;
      return { name, error: new CommandError(EXIT.dataError, printable(reason)) };
    });
  return {
    ...report,
    dataset,
    result: {
      stored: result.stored.filter(isLeft),
      unchanged: result.unchanged.filter(isLeft),
      failed: [...result.failed, ...failed],
    },
    conflicts: [...new Set([...report.conflicts, ...[...lost].filter(isChanged)])].sort(),
    pending: new Map(),
  };
}

/** By filename, why a dataset has rejected uploads. */
function reasonsOf({ files, error }: DatasetWithFiles): Map<string, string> {
  const warnings = files.flatMap((file) => file.warnings ?? []).filter(({ code }) => code === 'REPLACEMENT_REJECTED');
  return new Map(
    [...warnings, ...(error?.problems ?? [])].flatMap(({ filename, message }) =>
      filename === undefined ? [] : [[filename, message]],
    ),
  );
}

/** Remembers which of the files that were sent the dataset has stored. Call it while the folders are locked. */
export async function rememberStored({ pair }: PushTask, dataset: DatasetWithFiles): Promise<void> {
  if (!isConditional(dataset)) return;
  const state = await CommonState.open({ ...pair, datasetId: dataset.id });
  await state.change(storedSince(state.sent, storedHashes(dataset)));
}
