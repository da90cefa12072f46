import { totalsOf } from '../folder/report.js';
import { withLockedFolders } from '../sync/lock-folders.js';
import { painterOf, print, printJson } from '../terminal/print.js';
import {
  askedDecisions,
  dryRunDocument,
  dryRunExitCode,
  planLines,
  printDryRun,
  printEnded,
  pushDocument,
  pushExitCode,
  unblocked,
} from './output.js';
import { planOf, type PushPlan, preparePush } from './plan.js';
import { type PushReport, runPush, waitForEnd } from './run.js';
import type { PushTask } from './task.js';

/** What a command adds to a push. */
export interface PushAdditions {
  /** Printed with the plan. */
  readonly lines?: readonly string[];
  /** Fields for `--json`. */
  readonly document: (plan: PushPlan) => Record<string, unknown>;
  /** Throws if the plan is not to be carried out. */
  readonly agree?: (plan: PushPlan) => Promise<void>;
  readonly finish?: (report: PushReport) => Promise<void>;
}

/** Shows the plan of a push, carries it out unless it is a dry run, and prints the result. @throws CommandError */
export async function pushOnce(task: PushTask, { lines = [], document, agree, finish }: PushAdditions): Promise<void> {
  const { json, dryRun } = task.flags;
  const planOnce = async () => {
    const plan = await preparePush(task);
    if (!json) {
      print(totalsOf(plan.inspection.inspected.map(({ file }) => file)));
      for (const line of [...lines, ...planLines(plan, painterOf(process.stdout))]) print(line);
    }
    return unblocked(plan);
  };
  if (dryRun) {
    const plan = await planOnce();
    process.exitCode = dryRunExitCode(plan);
    return json ? printJson({ ...document(plan), ...dryRunDocument(plan) }) : printDryRun(plan);
  }
  const sent = await withLockedFolders(task.pair.folders, task, async () => {
    const plan = await planOnce();
    await agree?.(plan);
    const decisions = await askedDecisions(plan);
    const report = await runPush(decisions.size === 0 ? plan : unblocked(planOf({ ...plan, decisions })));
    await finish?.(report);
    return report;
  });
  const report = await waitForEnd(sent);
  process.exitCode = pushExitCode(report);
  if (json) printJson({ ...document(report.plan), ...pushDocument(report) });
  else await printEnded(report);
}
