import { randomBytes } from 'node:crypto';
import { type BigIntStats, constants } from 'node:fs';
import {
  access,
  link,
  lstat,
  mkdir,
  open,
  readFile,
  readdir,
  realpath,
  rename,
  rm,
  stat,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import {
  type FileInspector,
  type FolderReport,
  type InspectedFile,
  inspectPaths,
  withInspectionPool,
} from '../folder/inspect-files.js';
import { type LocalFile, fileVersionOf, foldersOfPaths } from '../folder/read-folder.js';
import { firstLines } from '../folder/report.js';
import { withLockedFolders } from '../sync/lock-folders.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { painterOf, print } from '../terminal/print.js';
import { counted, errorMessage, printable } from '../terminal/text.js';
import { type ProgressDisplay, bar } from '../terminal/progress.js';
import { canAsk, confirms } from '../terminal/prompts.js';
import { ServiceError, undefinedOn } from '../../dataset/errors.js';
import { MAX_FIXED_CAPTION_BYTES, fixCaption } from '../../dataset/fix/fix-caption.js';
import { TakenNames, nameForFormat } from '../../dataset/fix/media-names.js';
import { NotFixable } from '../../dataset/fix/not-fixable.js';
import { byFilename, parseFilename } from '../../dataset/names.js';
import { forEachConcurrent } from '../../for-each-concurrent.js';
import { runFixJob } from '../../service/inspection/fix-job.js';
import type { InspectionPool } from '../../service/inspection/inspection-pool.js';
import { CONVERSION_LIMITS, limitsOf } from '../../service/inspection/limited-process.js';
import { sha256Of } from '../../service/mount/bring-files.js';
import { syncFolder } from '../../storage/folders.js';

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
  const fix = () => withInspectionPool((pool) => fixUnlocked(paths, flags, { ...task, pool }));
  return flags.dryRun ? fix() : withLockedFolders(await foldersOfPaths(paths), task, fix);
}

async function fixUnlocked(paths: readonly string[], flags: FixFlags, task: FixTask & FixRun): Promise<FixedFiles> {
  const { pool, display, signal } = task;
  const { dryRun, yes, json, inPlace: isInPlace = false } = flags;
  if (!dryRun) for (const folder of await foldersOfPaths(paths)) await removePartialFiles(folder);
  const { inspected } = await inspectPaths(paths, { ...task, follow: flags.follow });
  const plan = await planFixes(inspected, { pool, signal });
  if (!json) printFixPlan(plan, dryRun ? 'Would fix' : 'To fix');
  if (dryRun) {
    return {
      paths,
      fixed: { fix: { dry_run: true, would_mend: plan.fixes.map(described), not_mended: plan.notFixed } },
    };
  }
  const mustAsk = plan.fixes.length > 0 && !yes && !json && canAsk();
  const isDeclined = mustAsk && !(await confirms(questionFor(plan.fixes, isInPlace), signal));
  if (isDeclined && task.endsIfDeclined) {
    throw new CommandError(EXIT.dataError, 'nothing was changed, and nothing was sent.');
  }
  const fixes = isDeclined ? [] : plan.fixes;
  let done = 0;
  const showDone = () => {
    done++;
    display.update(() => [`${bar(done, fixes.length)} fixed ${done} of ${counted(fixes.length, 'file')}`]);
  };
  const applied = await attempt(fixes, { concurrency: CONCURRENCY, signal }, (fix) =>
    applyFix(fix, { pool, signal, isInPlace }).finally(showDone),
  );
  display.clear();
  if (!json && fixes.length > 0) printFixed(applied);
  signal.throwIfAborted();
  const mended = applied.fixes.map((fix) => ({ ...described(fix), original: fix.original ?? null }));
  return {
    paths: paths.map((path) => pathAfter(path, applied.fixes)),
    fixed: { fix: { dry_run: false, mended, not_mended: [...plan.notFixed, ...applied.notFixed] } },
  };
}

export async function countFixable({ inspected }: FolderReport, signal: AbortSignal): Promise<number> {
  const { fixes } = await withInspectionPool((pool) => planFixes(inspected, { pool, signal }));
  return fixes.length;
}

function pathAfter(path: string, fixes: readonly Fix[]): string {
  const found = fixes.find(({ file }) => file.path === path);
  return found === undefined ? path : join(dirname(path), found.to);
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

function printFixPlan({ fixes, notFixed }: Fixes<Fix>, verb: string): void {
  const isNone = fixes.length === 0;
  const heading = isNone ? 'No file can be fixed without guessing.' : `${verb}: ${counted(fixes.length, 'file')}.`;
  const lines = fixes.map(({ message }) => `  ${printable(message)}.`);
  printFixes([heading, ...firstLines(lines, 'file')], notFixed);
}

function printFixed({ fixes, notFixed }: Fixes<AppliedFix>): void {
  const paint = painterOf(process.stdout);
  const folders = fixes.flatMap(({ original }) => (original === undefined ? [] : [dirname(original)]));
  const lines = fixes.map(({ message }) => paint('green', `✓ ${printable(message)}.`));
  const heading = `Fixed ${counted(fixes.length, 'file')}.${keptText(folders, 'are')}`;
  printFixes([heading, ...firstLines(lines, 'file')], notFixed);
}

function printFixes(lines: readonly string[], notFixed: readonly NotFixed[]): void {
  const paint = painterOf(process.stdout);
  const left = notFixed.map(({ message }) => paint('yellow', `- Not fixed: ${printable(message)}`));
  for (const line of [...lines, ...firstLines(left, 'file')]) print(line);
}

function described({ kind, file, to, message }: Fix) {
  return { filename: file.filename, action: kind, new_filename: to.normalize('NFC'), message };
}

interface Fix {
  readonly kind: 'rewrite' | 'rename' | 'convert';
  readonly file: LocalFile;
  /** The real path of the folder that contains the file, and the file's name in it. */
  readonly folder: string;
  readonly name: string;
  /** The name afterwards; a caption keeps its name. */
  readonly to: string;
  /** A sentence without its end: `cat.jpg → cat.png: it is a PNG image`. */
  readonly message: string;
}

/** A fix that was made, and the path of the original; `undefined` after a rename or with `--in-place`. */
type AppliedFix = Fix & { readonly original: string | undefined };

interface NotFixed {
  readonly filename: string;
  readonly message: string;
}

interface FixRun {
  readonly pool: InspectionPool;
  readonly signal: AbortSignal;
  readonly isInPlace?: boolean;
}

interface Fixes<F extends Fix> {
  readonly fixes: readonly F[];
  readonly notFixed: readonly NotFixed[];
}

/** Sorts the fixes that `work` finds or makes, and the reasons why not. Once the signal aborts, it starts no further file. */
async function attempt<Item extends { readonly file: LocalFile }, F extends Fix>(
  items: readonly Item[],
  { concurrency, signal }: { concurrency: number; signal: AbortSignal },
  work: (item: Item) => Promise<F | undefined>,
): Promise<Fixes<F>> {
  const fixes: F[] = [];
  const notFixed: NotFixed[] = [];
  await forEachConcurrent(items, concurrency, async (item) => {
    if (signal.aborted) return;
    try {
      const fix = await work(item);
      if (fix !== undefined) fixes.push(fix);
    } catch (error) {
      if (!signal.aborted) notFixed.push(notFixedBecause(item.file.filename, error));
    }
  });
  return { fixes: fixes.sort((a, b) => byFilename(a.file, b.file)), notFixed: notFixed.sort(byFilename) };
}

/** Findings that a change of the file's encoding, name or format can remove. */
const CAPTION_CODES = new Set(['CAPTION_NOT_UTF8', 'CAPTION_HAS_NUL', 'CAPTION_BOM']);
const MEDIA_CODES = new Set(['NOT_AN_IMAGE', 'NOT_A_VIDEO', 'CONTENT_DIFFERS', 'NOT_TRAINED_ON']);

/** Finds the files that can be fixed without guessing. @throws the signal's reason */
async function planFixes(inspected: readonly InspectedFile[], run: FixRun): Promise<Fixes<Fix>> {
  const { signal } = run;
  const folders = new Map<string, Folder>();
  // One file after another, since each fix reserves its name.
  const plan = await attempt(inspected, { concurrency: 1, signal }, async ({ file, inspection }) => {
    const codes = inspection.ok ? inspection.warnings.map(({ code }) => code) : [inspection.problem.code];
    const isCaption = codes.some((code) => CAPTION_CODES.has(code));
    if (!isCaption && !codes.some((code) => MEDIA_CODES.has(code))) return undefined;
    const folder = folders.get(dirname(file.path)) ?? (await readNames(dirname(file.path)));
    folders.set(dirname(file.path), folder);
    await requireChangeable(file);
    return isCaption ? captionFix(file, folder) : mediaFix(file, folder, run);
  });
  signal.throwIfAborted();
  return plan;
}

async function readNames(folder: string) {
  const path = await realpath(folder);
  return { path, names: new TakenNames(await readdir(path)) };
}

type Folder = Awaited<ReturnType<typeof readNames>>;

function notFixedBecause(filename: string, error: unknown): NotFixed {
  // No dataset accepts the new name.
  const named = error instanceof ServiceError ? `can't be renamed. ${error.message}` : undefined;
  const reason = error instanceof NotFixable ? error.message : (named ?? `can't be fixed: ${errorMessage(error)}`);
  return { filename, message: `${printable(filename)} ${reason.replace(/\.?$/, '.')}` };
}

/** @throws NotFixable for a link, or a file or folder that is read-only */
async function requireChangeable({ path }: LocalFile): Promise<void> {
  const stats = await lstat(path);
  if (stats.isSymbolicLink()) throw new NotFixable('is a link, and is left alone. Fix the file that it leads to');
  // For root, `access` allows everything.
  const isWritable = (stats.mode & 0o222) !== 0 && (await access(path, constants.W_OK).then(() => true, no));
  if (!isWritable) throw new NotFixable('is read-only, and is left alone. Make it writable first');
  if (!(await access(dirname(path), constants.W_OK).then(() => true, no))) {
    throw new NotFixable("is in a folder that can't be written");
  }
}

const no = () => false;

async function captionFix(file: LocalFile, folder: Folder): Promise<Fix> {
  const name = basename(file.path);
  if (file.sizeBytes > MAX_FIXED_CAPTION_BYTES) throw new NotFixable('is too long to be a caption');
  const { change } = fixCaption(await readFile(file.path));
  return { kind: 'rewrite', file, folder: folder.path, name, to: name, message: `${printable(name)}: ${change}` };
}

/** `undefined` if the content is no image or video, so that a change of name or format would not help. */
async function mediaFix(file: LocalFile, folder: Folder, { pool, signal }: FixRun): Promise<Fix | undefined> {
  const limits = limitsOf({ kind: 'image', sizeBytes: file.sizeBytes });
  const content = await runFixJob(pool, { task: 'examine', path: file.path }, { limits, signal });
  if (content.kind === 'other') return undefined;
  const name = basename(file.path);
  const isConverted = !content.isTrainable;
  const to = nameForFormat(name, isConverted ? 'png' : content.format);
  parseFilename(to);
  const taken = folder.names.claim(to, { from: name, isConverted });
  if (taken !== undefined && !(await isOneFile(file.path, join(folder.path, to)))) throw new NotFixable(taken);
  if (!isConverted) {
    const under = { filename: to.normalize('NFC'), path: file.path, sizeBytes: file.sizeBytes };
    const renamed = await pool.inspect(under, { accountId: '', signal });
    if (!renamed.ok) throw new NotFixable(`is ${content.description} that can't be used: ${renamed.problem.message}`);
  }
  const why = isConverted ? ', which the trainer does not read; a PNG keeps every pixel' : '';
  const message = `${printable(name)} → ${printable(to)}: it is ${content.description}${why}`;
  return { kind: isConverted ? 'convert' : 'rename', file, folder: folder.path, name, to, message };
}

/** As after an interrupted rename, which gives the new name before it removes the old one. */
async function isOneFile(path: string, other: string): Promise<boolean> {
  const [one, two] = await Promise.all([path, other].map((each) => lstat(each).catch(() => undefined)));
  return one !== undefined && one.ino === two?.ino && one.dev === two.dev;
}

/** Conversions at a time: each may hold two large pictures. */
const CONCURRENCY = 2;

/** Incomplete files within the folder, where renaming is atomic. Trainers, `push` and `pull` skip hidden files. */
const PARTIAL = /^\.trainyard-fix-[0-9a-f]{16}$/;

/** Removes the incomplete files of a killed command. */
async function removePartialFiles(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => []);
  for (const name of names) if (PARTIAL.test(name)) await unlink(join(folder, name)).catch(() => {});
}

/**
 * Fixes a file atomically: a crash leaves its old or its new content, and the original is kept before it is replaced. The content
 * changes before the name, so a crash may leave a wrong extension, which `--fix` renames.
 */
async function applyFix(fix: Fix, run: FixRun): Promise<AppliedFix> {
  const { folder, name, to } = fix;
  const [path, target] = [join(folder, name), join(folder, to)];
  const stats = await statsOf(path);
  if (stats === undefined || fileVersionOf(stats) !== fix.file.version) throw changedMeanwhile();
  if (to !== name && fix.kind === 'convert') await requireFree(target);
  const original = fix.kind === 'rename' ? undefined : await replaceContent(fix, stats, run);
  if (to !== name) await moveFile(path, target);
  await syncFolder(folder);
  return { ...fix, original };
}

async function replaceContent(fix: Fix, stats: BigIntStats, run: FixRun): Promise<string | undefined> {
  const { folder, name } = fix;
  const path = join(folder, name);
  const partial = join(folder, `.trainyard-fix-${randomBytes(8).toString('hex')}`);
  try {
    if (fix.kind === 'convert') await writeConverted(fix, partial, run);
    else await writeFile(partial, fixCaption(await readFile(path)).bytes, { flag: 'wx' });
    await finishNewFile(partial, stats);
    const original = run.isInPlace ? undefined : await keepOriginal(folder, name);
    const now = await statsOf(path);
    // Not the version, which changes with the link of the original.
    const isSame = now?.ino === stats.ino && now.size === stats.size && now.mtimeNs === stats.mtimeNs;
    if (!isSame) throw changedMeanwhile();
    await rename(partial, path);
    return original;
  } finally {
    await rm(partial, { force: true });
  }
}

async function writeConverted({ folder, name, to }: Fix, partial: string, { pool, signal }: FixRun): Promise<void> {
  const job = { task: 'convert', path: join(folder, name), target: partial } as const;
  await runFixJob(pool, job, { limits: CONVERSION_LIMITS, signal });
  const converted = { filename: to.normalize('NFC'), path: partial, sizeBytes: (await stat(partial)).size };
  const inspection = await pool.inspect(converted, { accountId: '', signal });
  if (!inspection.ok) throw new NotFixable(`can't be converted: ${inspection.problem.message}`);
}

async function finishNewFile(path: string, { uid, gid, mode }: BigIntStats): Promise<void> {
  const handle = await open(path, 'r+');
  try {
    await handle.chown(Number(uid), Number(gid)).catch(() => {});
    await handle.chmod(Number(mode & 0o777n));
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Renames a file, never over another one. @throws NotFixable */
async function moveFile(path: string, to: string): Promise<void> {
  const isLinked = await link(path, to).then(() => true, no);
  // An interrupted run may have left the file with both names.
  if (isLinked || (await isOneFile(path, to))) return unlink(path);
  // The file system may have no links.
  await requireFree(to);
  await rename(path, to);
}

async function requireFree(path: string): Promise<void> {
  if ((await statsOf(path)) === undefined) return;
  throw new NotFixable(`is left alone, since a file with the name ${basename(path)} has appeared`);
}

function changedMeanwhile(): NotFixable {
  return new NotFixable('has changed meanwhile, and is left alone. Run the same command again');
}

const statsOf = (path: string) => lstat(path, { bigint: true }).catch(() => undefined);

/** The folder that keeps the originals of a folder: beside it, since trainers read all that is inside. */
function originalsFolderOf(folder: string): string {
  return `${folder}.orig`;
}

/** Keeps a file as a hard link `NAME.orig`, or `NAME.2.orig` if that is taken. @returns its path. @throws NotFixable */
async function keepOriginal(folder: string, name: string): Promise<string> {
  const originals = originalsFolderOf(folder);
  const path = join(folder, name);
  try {
    await mkdir(originals).catch(undefinedOn('EEXIST'));
    if (!(await lstat(originals)).isDirectory()) {
      throw new Error(`${originals} is in the way: it is not a folder. Move it away`);
    }
    for (let number = 1; ; number++) {
      const kept = join(originals, `${name}${number === 1 ? '' : `.${number}`}.orig`);
      const isLinked = await link(path, kept).then(() => true, undefinedOn('EEXIST'));
      // The name may be taken by another original, or by a symbolic link to the file itself.
      if (!isLinked && !((await lstat(kept)).isFile() && (await sha256Of(kept)) === (await sha256Of(path)))) continue;
      await syncFolder(originals);
      await syncFolder(dirname(originals));
      return kept;
    }
  } catch (error) {
    const message = `is left alone, since its original can't be kept in ${originals}: ${errorMessage(error)}. To keep none, add --in-place`;
    throw new NotFixable(message, { cause: error });
  }
}
