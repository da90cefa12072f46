import { rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fixCaption } from '../../dataset/fix/fix-caption.js';
import { forEachConcurrent } from '../../for-each-concurrent.js';
import { convertInProcess } from '../../service/inspection/image-conversion.js';
import type { InspectionPool } from '../../service/inspection/inspection-pool.js';
import { syncFolder } from '../../storage/sync-folder.js';
import { byName } from '../folder/read-folder.js';
import {
  addName,
  FileLeftAlone,
  finishNewFile,
  keepOriginal,
  type OpenedFile,
  openUnchanged,
  requireUnchanged,
} from './file-changes.js';
import { type Fix, type FixPlan, type NotFixed, notFixedBecause } from './plan-fixes.js';
import { closeWorkspace, newPartialFile, removePartialFile } from './workspace.js';

/** Conversions at a time: each may hold two large pictures. */
const CONCURRENCY = 2;

/** A file that was fixed. */
export interface AppliedFix {
  readonly fix: Fix;
  /** The path of the original; `undefined` if none is kept: after a change of the name alone, or in place. */
  readonly original: string | undefined;
}

/** The result of `--fix`. */
export interface FixReport {
  readonly state: 'done' | 'dry run' | 'declined';
  readonly plan: FixPlan;
  readonly fixed: readonly AppliedFix[];
  /** Files that could not be fixed, by the plan or afterwards. */
  readonly notFixed: readonly NotFixed[];
  /** The paths of the command, with the new names of files that it named. */
  readonly paths: readonly string[];
}

interface ApplyOptions {
  readonly pool: InspectionPool;
  readonly signal: AbortSignal;
  /** Keeps no originals. */
  readonly isInPlace: boolean;
  readonly onDone: (files: number) => void;
}

/**
 * Fixes files, each atomically: whenever the process or the machine stops, each has its old content or its new one, and the
 * original is kept before it is replaced. Stops between two files when the signal is aborted.
 */
export async function applyFixes(
  fixes: readonly Fix[],
  options: ApplyOptions,
): Promise<{ fixed: AppliedFix[]; notFixed: NotFixed[] }> {
  const fixed: AppliedFix[] = [];
  const notFixed: NotFixed[] = [];
  await forEachConcurrent(fixes, CONCURRENCY, async (fix) => {
    if (options.signal.aborted) return;
    try {
      fixed.push({ fix, original: await applyFix(fix, options) });
    } catch (error) {
      if (!options.signal.aborted) notFixed.push(notFixedBecause(fix.file.filename, error));
    }
    options.onDone(fixed.length + notFixed.length);
  });
  for (const folder of new Set(fixes.map((fix) => fix.folder))) await closeWorkspace(folder);
  return { fixed: fixed.sort((a, b) => byName(a.fix.file, b.fix.file)), notFixed: notFixed.sort(byName) };
}

async function applyFix(fix: Fix, options: ApplyOptions): Promise<string | undefined> {
  const opened = await openUnchanged(fix.file);
  try {
    if (fix.kind === 'rename') return await renameFile(fix, opened);
    const partial = await newPartialFile(fix.folder, fix.name);
    try {
      return fix.kind === 'rewrite'
        ? await rewriteCaption(fix, { opened, partial, ...options })
        : await convertFile(fix, { opened, partial, ...options });
    } finally {
      await removePartialFile(partial);
    }
  } finally {
    await opened.handle.close();
  }
}

type FileOptions = ApplyOptions & { readonly opened: OpenedFile; readonly partial: string };

async function renameFile({ folder, name, to }: Fix, opened: OpenedFile): Promise<undefined> {
  const path = join(folder, name);
  await requireUnchanged(path, opened);
  await addName(path, join(folder, to));
  await rm(path, { force: true });
  await syncFolder(folder);
}

async function rewriteCaption({ folder, name }: Fix, options: FileOptions): Promise<string | undefined> {
  const { opened, partial, isInPlace } = options;
  const path = join(folder, name);
  const caption = fixCaption(await opened.handle.readFile());
  if (!caption.ok) throw new FileLeftAlone(caption.reason);
  await writeFile(partial, caption.bytes, { flag: 'wx' });
  await finishNewFile(partial, opened);
  await requireUnchanged(path, opened);
  const original = isInPlace ? undefined : await keepOriginal(folder, name);
  await requireUnchanged(path, opened);
  await rename(partial, path);
  await syncFolder(folder);
  return original;
}

async function convertFile({ folder, name, to }: Fix, options: FileOptions): Promise<string | undefined> {
  const { opened, partial, isInPlace, pool, signal } = options;
  const [path, target] = [join(folder, name), join(folder, to)];
  await convertInProcess(pool, { path, target: partial }, signal);
  const converted = { filename: to.normalize('NFC'), path: partial, sizeBytes: (await stat(partial)).size };
  const inspection = await pool.inspect(converted, { accountId: '', signal });
  if (!inspection.ok) throw new FileLeftAlone(`can't be converted: ${inspection.problem.message}`);
  await finishNewFile(partial, opened);
  await requireUnchanged(path, opened);
  const original = isInPlace ? undefined : await keepOriginal(folder, name);
  if (target === path) {
    await rename(partial, path);
    await syncFolder(folder);
    return original;
  }
  await addName(partial, target);
  await syncFolder(folder);
  try {
    await requireUnchanged(path, opened);
  } catch (error) {
    await rm(target);
    throw error;
  }
  await rm(path, { force: true });
  await syncFolder(folder);
  return original;
}
