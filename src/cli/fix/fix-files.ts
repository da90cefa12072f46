import { dirname, join } from 'node:path';
import { InspectionPool } from '../../service/inspection/inspection-pool.js';
import { type FileInspector, type FolderReport, inspectPaths } from '../folder/inspect-files.js';
import { isFolder } from '../folder/read-folder.js';
import { firstLines } from '../folder/report.js';
import { withLockedFolders } from '../sync/lock-folders.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { painterOf, print } from '../terminal/print.js';
import { bar, type ProgressDisplay } from '../terminal/progress.js';
import { canAsk, confirms } from '../terminal/prompts.js';
import { counted, printable } from '../terminal/text.js';
import {
  type AppliedFix,
  type AppliedFixes,
  applyFixes,
  originalsFolderOf,
  removePartialFiles,
} from './apply-fixes.js';
import { type Fix, type NotFixed, planFixes } from './plan-fixes.js';

/** The part of a help text that explains `--fix`. */
export const FIX_HELP = `--fix converts captions from UTF-16 and Windows-1252 to UTF-8, removes byte order marks, corrects extensions, and converts
AVIF, BMP, TIFF and GIF images to PNG. Files that can't be fixed without guessing are listed, and left as they are. Originals
are kept as NAME.orig in FOLDER.orig beside the folder, unless --in-place is given. On a terminal it asks before it changes.`;

export interface FixFlags {
  readonly fix?: true;
  readonly inPlace?: true;
  readonly yes?: true;
  readonly follow?: true;
  readonly dryRun?: true;
  readonly json?: boolean;
}

export interface FixedFiles {
  /** The paths of the command, with the new names of files that it named. */
  readonly paths: readonly string[];
  /** A field of a JSON document; empty without `--fix`. */
  readonly fixed: { readonly fix?: Record<string, unknown> };
}

interface FixTask {
  readonly inspector: FileInspector;
  readonly display: ProgressDisplay;
  readonly signal: AbortSignal;
  readonly endsIfDeclined?: boolean;
}

/** @throws CommandError with 64 if an option of `--fix` is given without it */
export function requireFix(flags: FixFlags, names: readonly ('inPlace' | 'yes' | 'dryRun')[]): void {
  const given = flags.fix ? undefined : names.find((name) => flags[name]);
  if (given === undefined) return;
  const option = given.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  throw new CommandError(EXIT.usage, `--${option} is an option of --fix. Add --fix.`);
}

/** Lists the fixes, asks on a terminal, and applies them. @throws CommandError with 65, 66 or 73; the signal's reason */
export async function fixFiles(paths: readonly string[], flags: FixFlags, task: FixTask): Promise<FixedFiles> {
  if (!flags.fix) return { paths, fixed: {} };
  if (flags.dryRun) return fixUnlocked(paths, flags, task);
  return withLockedFolders(await foldersOf(paths), task, () => fixUnlocked(paths, flags, task));
}

async function fixUnlocked(paths: readonly string[], flags: FixFlags, task: FixTask): Promise<FixedFiles> {
  const { display, signal } = task;
  const { dryRun, yes, json, inPlace: isInPlace = false } = flags;
  if (!dryRun) for (const folder of await foldersOf(paths)) await removePartialFiles(folder);
  const pool = new InspectionPool();
  try {
    const { inspected } = await inspectPaths(paths, { ...task, follow: flags.follow });
    const { fixes, notFixed } = await planFixes(inspected, { pool, signal });
    if (!json) printFixPlan(fixes, notFixed, dryRun ? 'Would fix' : 'To fix');
    if (dryRun) {
      return { paths, fixed: { fix: { dry_run: true, would_mend: fixes.map(described), not_mended: notFixed } } };
    }
    const mustAsk = fixes.length > 0 && !yes && !json && canAsk();
    const isDeclined = mustAsk && !(await confirms(questionFor(fixes, isInPlace), signal));
    if (isDeclined && task.endsIfDeclined) {
      throw new CommandError(EXIT.dataError, 'nothing was changed, and nothing was sent.');
    }
    const total = counted(fixes.length, 'file');
    const onDone = (done: number) => display.update(() => [`${bar(done, fixes.length)} fixed ${done} of ${total}`]);
    const applied = await applyFixes(isDeclined ? [] : fixes, { pool, signal, isInPlace, onDone });
    display.clear();
    if (!json && fixes.length > 0 && !isDeclined) printFixed(applied);
    signal.throwIfAborted();
    const mended = applied.fixed.map(({ fix, original }) => ({ ...described(fix), original: original ?? null }));
    return {
      paths: paths.map((path) => pathAfter(path, applied.fixed)),
      fixed: { fix: { dry_run: false, mended, not_mended: [...notFixed, ...applied.notFixed] } },
    };
  } finally {
    await pool.close();
  }
}

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

function questionFor(fixes: readonly Fix[], isInPlace: boolean): string {
  const files = counted(fixes.length, 'file');
  if (isInPlace) return `Fix ${files} in place? No originals are kept.`;
  const folders = fixes.flatMap(({ kind, folder }) => (kind === 'rename' ? [] : [originalsFolderOf(folder)]));
  return `Fix ${files}?${keptText(folders, 'are kept')}`;
}

function keptText(folders: readonly string[], are: string): string {
  if (folders.length === 0) return '';
  return ` The originals ${are} in ${[...new Set(folders)].map(printable).join(' and ')}.`;
}

function printFixPlan(fixes: readonly Fix[], notFixed: readonly NotFixed[], verb: string): void {
  if (fixes.length === 0) print('No file can be fixed without guessing.');
  else print(`${verb}: ${counted(fixes.length, 'file')}.`);
  printLines(fixes.map(({ message }) => `  ${printable(message)}.`));
  printNotFixed(notFixed);
}

function printFixed({ fixed, notFixed }: AppliedFixes): void {
  const paint = painterOf(process.stdout);
  const folders = fixed.flatMap(({ original }) => (original === undefined ? [] : [dirname(original)]));
  print(`Fixed ${counted(fixed.length, 'file')}.${keptText(folders, 'are')}`);
  printLines(fixed.map(({ fix }) => paint('green', `✓ ${printable(fix.message)}.`)));
  printNotFixed(notFixed);
}

function printNotFixed(notFixed: readonly NotFixed[]): void {
  const paint = painterOf(process.stdout);
  printLines(notFixed.map(({ message }) => paint('yellow', `- Not fixed: ${printable(message)}`)));
}

function printLines(lines: readonly string[]): void {
  for (const line of firstLines(lines, 'file')) print(line);
}

function described({ kind, file, to, message }: Fix) {
  return { filename: file.filename, action: kind, new_filename: to.normalize('NFC'), message };
}
