import type { FixedFiles } from '../fix/fix-files.js';
import { totalsOf } from '../folder/report.js';
import { askAboutConflicts, printConflicts } from '../sync/conflicts.js';
import { withLockedFolders } from '../sync/lock-folders.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { painterOf, print, printJson } from '../terminal/print.js';
import { canAsk } from '../terminal/prompts.js';
import { counted } from '../terminal/text.js';
import { dryRunDocument, dryRunExitCode, printDryRun } from './dry-run.js';
import { conflictsOf, planLines, printKept, printPushReport, pushDocument, pushExitCode } from './output.js';
import type { PushPlan } from './plan.js';
import { type PreparedPush, type PushTask, preparePush } from './prepare.js';
import type { PushReport } from './push-report.js';
import { runPush, waitForEnd } from './run.js';

/** Pushes files to one dataset, and prints what was done. @throws CommandError with 65 if errors prevent it */
export async function pushOnce(
  task: PushTask,
  { isJson, isDryRun, fixed }: { isJson: boolean; isDryRun: boolean; fixed: FixedFiles },
): Promise<void> {
  if (isDryRun) {
    const prepared = await planOnce(task, isJson);
    process.exitCode = dryRunExitCode(prepared);
    return isJson ? printJson({ ...fixed, ...dryRunDocument(task, prepared) }) : printDryRun(task, prepared);
  }
  const { prepared, plan, sent } = await withLockedFolders(task.pair.folders, task, async () => {
    const planned = await planOnce(task, isJson);
    const asked = isJson || !canAsk() ? planned.plan : await askedPlan(task, planned);
    if (asked.blockers.length > 0) throw blockedError(asked.blockers);
    return { prepared: planned, plan: asked, sent: await runPush(task, asked) };
  });
  const report = await waitForEnd(task, plan, sent);
  process.exitCode = pushExitCode(plan, report);
  if (isJson) return printJson({ ...fixed, ...pushDocument(plan, report, task.directionTo(report.dataset)) });
  await printEnded(task, prepared, { plan, report });
}

/** Plans a push, and prints what it is about. @throws CommandError with 65 if errors prevent it */
async function planOnce(task: PushTask, isJson: boolean): Promise<PreparedPush> {
  const prepared = await preparePush(task);
  if (!isJson) printPlan(prepared.plan);
  if (prepared.plan.blockers.length > 0) throw blockedError(prepared.plan.blockers);
  return prepared;
}

/** Prints the numbers of files and their problems. */
function printPlan(plan: PushPlan): void {
  print(totalsOf(plan.report.inspected.map(({ file }) => file)));
  for (const line of planLines(plan, painterOf(process.stdout))) print(line);
}

/** Prints what a push has done, what it kept, and the conflicts. */
export async function printEnded(
  task: PushTask,
  prepared: PreparedPush,
  { plan, report }: { plan: PushPlan; report: PushReport },
): Promise<void> {
  printPushReport(plan, report);
  printKept(plan, task.directionTo(report.dataset));
  printConflicts(await conflictsOf(task, { ...prepared, dataset: report.dataset }, report.conflicts));
}

/** The plan once a person has decided about each conflict. */
export async function askedPlan(task: PushTask, prepared: PreparedPush): Promise<PushPlan> {
  const conflicts = await conflictsOf(task, prepared, prepared.plan.sync.conflicts);
  if (conflicts.length === 0) return prepared.plan;
  const decisions = await askAboutConflicts(conflicts, task.signal);
  return prepared.decide(new Map([...decisions].map(([name, side]) => [name, side === 'ours' ? 'source' : 'target'])));
}

/** The error that says why nothing was sent, and names the options that help. */
function blockedError(blockers: PushPlan['blockers']): CommandError {
  const uncaptioned = blockers.filter(({ code }) => code === 'MISSING_CAPTION').length;
  const advice =
    'Generate captions with --trigger WORD or --caption-all TEXT, or send them without captions with --allow-uncaptioned.';
  const lines = [
    `nothing was sent: ${counted(blockers.length, 'error')} would keep the dataset from being READY.`,
    ...(uncaptioned > 0 ? [`${counted(uncaptioned, 'file has', 'files have')} no caption. ${advice}`] : []),
    ...(blockers.some(({ filename }) => filename !== undefined)
      ? ['To leave out the files named above and send the others, add --skip-bad.']
      : []),
  ];
  return new CommandError(EXIT.dataError, lines.join('\n'), { details: { problems: blockers } });
}
