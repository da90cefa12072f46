import { dirname, join } from 'node:path';
import { InspectionPool } from '../../service/inspection/inspection-pool.js';
import { type FileInspector, type FolderReport, inspectPaths } from '../folder/inspect-files.js';
import { isFolder } from '../folder/read-folder.js';
import { withLockedFolders } from '../sync/lock-folders.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { bar, type ProgressDisplay } from '../terminal/progress.js';
import { canAsk, confirms } from '../terminal/prompts.js';
import { counted } from '../terminal/text.js';
import { type AppliedFix, applyFixes, type FixReport } from './apply-fixes.js';
import { originalsFolderOf } from './file-changes.js';
import { fixDocument, printFixPlan, printFixed } from './fix-output.js';
import { type FixPlan, planFixes } from './plan-fixes.js';
import { finishInterruptedFixes } from './workspace.js';

/** The part of a help text that explains `--fix`. */
export const FIX_HELP = `--fix converts captions from UTF-16 and Windows-1252 to UTF-8, removes byte order marks, corrects extensions, and converts
AVIF, BMP, TIFF and GIF images to PNG. Files that can't be fixed without guessing are listed, and left as they are. Originals
are kept as NAME.orig in FOLDER.orig beside the folder, unless --in-place is given. On a terminal it asks before it changes.`;

/** The options of `--fix`. */
export interface FixFlags {
  readonly fix?: true;
  readonly inPlace?: true;
  readonly yes?: true;
  readonly dryRun?: true;
  readonly json?: boolean;
}

interface FixTask {
  readonly inspector: FileInspector;
  readonly display: ProgressDisplay;
  readonly signal: AbortSignal;
  readonly follow: boolean;
}

/** @throws CommandError with 64 if an option of `--fix` is given without it */
export function requireFix(flags: FixFlags, names: readonly ('inPlace' | 'yes' | 'dryRun')[]): void {
  const given = flags.fix ? undefined : names.find((name) => flags[name]);
  if (given === undefined) return;
  const option = given.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  throw new CommandError(EXIT.usage, `--${option} is an option of --fix. Add --fix.`);
}

/**
 * Fixes files where that needs no guessing: lists what will be done, asks on a terminal, does it, and lists what was done.
 *
 * @throws CommandError with 66 if the paths contain no file for a dataset, 73 if something else has the name of a folder or a lock
 *   that it makes; the signal's reason
 */
export async function fixFiles(paths: readonly string[], flags: FixFlags, task: FixTask): Promise<FixReport> {
  if (flags.dryRun) return fixUnlocked(paths, flags, task);
  return withLockedFolders(await foldersOf(paths), task, () => fixUnlocked(paths, flags, task));
}

async function fixUnlocked(paths: readonly string[], flags: FixFlags, task: FixTask): Promise<FixReport> {
  const { display, signal } = task;
  const isQuiet = flags.json === true;
  // One by one, since two paths may lead to one folder.
  if (!flags.dryRun) for (const folder of await foldersOf(paths)) await finishInterruptedFixes(folder);
  const pool = new InspectionPool();
  try {
    const { inspected } = await inspectPaths(paths, task);
    const plan = await planFixes(inspected, { pool, signal });
    const unchanged = { plan, fixed: [], notFixed: plan.notFixed, paths };
    if (!isQuiet) printFixPlan(plan, { isDryRun: flags.dryRun === true });
    if (flags.dryRun) return { state: 'dry run', ...unchanged };
    if (plan.fixes.length === 0) return { state: 'done', ...unchanged };
    const mustAsk = !flags.yes && !isQuiet && canAsk();
    if (mustAsk && !(await confirms(questionFor(plan, flags), signal))) return { state: 'declined', ...unchanged };
    const total = counted(plan.fixes.length, 'file');
    const onDone = (done: number) =>
      display.update(() => [`${bar(done, plan.fixes.length)} fixed ${done} of ${total}`]);
    const { fixed, notFixed } = await applyFixes(plan.fixes, {
      pool,
      signal,
      isInPlace: flags.inPlace === true,
      onDone,
    });
    display.clear();
    if (!isQuiet) printFixed(fixed, notFixed);
    signal.throwIfAborted();
    return {
      state: 'done',
      plan,
      fixed,
      notFixed: [...plan.notFixed, ...notFixed],
      paths: paths.map((path) => pathAfter(path, fixed)),
    };
  } finally {
    await pool.close();
  }
}

/** What `--fix` did, as a field of a JSON document; empty without `--fix`. */
export interface FixedFiles {
  readonly fix?: Record<string, unknown>;
}

/**
 * Fixes files before they are pushed, if `--fix` is given.
 *
 * @returns the paths to push, and a field of the JSON document. @throws CommandError with 65 if a person declines
 */
export async function fixBeforePush(
  paths: readonly string[],
  flags: FixFlags,
  task: FixTask,
): Promise<{ paths: readonly string[]; fixed: FixedFiles }> {
  if (!flags.fix) return { paths, fixed: {} };
  const report = await fixFiles(paths, flags, task);
  if (report.state === 'declined') throw new CommandError(EXIT.dataError, 'nothing was changed, and nothing was sent.');
  return { paths: report.paths, fixed: { fix: fixDocument(report) } };
}

/** The number of files that `fixFiles` would fix. */
export async function countFixable({ inspected }: FolderReport, signal: AbortSignal): Promise<number> {
  const pool = new InspectionPool();
  try {
    return (await planFixes(inspected, { pool, signal })).fixes.length;
  } finally {
    await pool.close();
  }
}

async function foldersOf(paths: readonly string[]): Promise<string[]> {
  const folders = await Promise.all(paths.map(async (path) => ((await isFolder(path)) ? path : dirname(path))));
  return [...new Set(folders)];
}

function pathAfter(path: string, fixed: readonly AppliedFix[]): string {
  const found = fixed.find(({ fix }) => fix.file.path === path);
  return found === undefined ? path : join(dirname(path), found.fix.to);
}

function questionFor({ fixes }: FixPlan, { inPlace }: FixFlags): string {
  const files = counted(fixes.length, 'file');
  if (inPlace) return `Fix ${files} in place? No originals are kept.`;
  const folders = new Set(fixes.filter(({ kind }) => kind !== 'rename').map(({ folder }) => originalsFolderOf(folder)));
  const kept = folders.size === 0 ? '' : ` The originals are kept in ${[...folders].join(' and ')}.`;
  return `Fix ${files}?${kept}`;
}
