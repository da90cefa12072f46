import { lstat, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { hasErrno } from '../../../dataset/errors.js';
import { readRegularFile } from '../../../storage/regular-file.js';
import { keepUnderOtherName, type MountPaths } from '../mount-paths.js';
import { isTrainerFile, MAX_RECORD_BYTES, RECORD_NAMES, readRecord, replaceFile } from '../mounted-folder.js';

/** Lists the files that a mount writes into its staging folder, until the folder is complete. */
const LIST_NAME = '.mounting.json';
const LIST_NAMES = [LIST_NAME, `${LIST_NAME}.new`];

/**
 * Prepares the staging folder for files of these names, and removes other files of an earlier mount from it. A folder with
 * files that no mount wrote is kept under another name.
 *
 * @returns the names of files of an earlier mount that are still there, and warnings for a person
 */
export async function openStaging(
  paths: MountPaths,
  names: readonly string[],
): Promise<{ started: Set<string>; warnings: string[] }> {
  const { staging } = paths;
  const found = await entriesOf(paths);
  if (found === undefined || found.hasOthers) {
    const warnings = await discardStaging(paths);
    await mkdir(staging);
    await writeList(staging, names);
    return { started: new Set(), warnings };
  }
  const wanted = new Set(names);
  const others = found.written.filter((name) => !wanted.has(name));
  await writeList(staging, [...names, ...others]);
  for (const name of others) {
    if (!LIST_NAMES.includes(name)) await rm(join(staging, name), { recursive: true, force: true });
  }
  return { started: new Set(found.written.filter((name) => wanted.has(name))), warnings: [] };
}

/** Removes what only an unfinished mount needs. */
export async function closeStaging({ staging }: MountPaths): Promise<void> {
  await rm(join(staging, LIST_NAME), { force: true });
}

/** Removes the staging folder. If it has files that no mount wrote, keeps it under another name. @returns warnings */
export async function discardStaging(paths: MountPaths): Promise<string[]> {
  const { staging } = paths;
  const found = await entriesOf(paths);
  if (found === undefined) return [];
  if (!found.hasOthers) {
    await rm(staging, { recursive: true, force: true });
    return [];
  }
  return [await keepUnderOtherName(paths, staging)];
}

/** `undefined` without a staging folder. `written` are names that a mount wrote, or the trainer into a mounted folder. */
async function entriesOf({
  staging,
  name,
}: MountPaths): Promise<{ written: string[]; hasOthers: boolean } | undefined> {
  const stats = await lstat(staging).catch((error) => {
    if (hasErrno(error, 'ENOENT')) return undefined;
    throw error;
  });
  if (stats === undefined) return undefined;
  if (!stats.isDirectory()) return { written: [], hasOthers: true };
  const listed = await readList(staging);
  // After a swap, the staging folder is the old mounted folder until it is marked for removal.
  const record = await readRecord(staging);
  const recorded = record?.name === name ? record.files.map((file) => file.mounted_name) : undefined;
  const hasRecord = listed !== undefined || recorded !== undefined;
  const names = new Set([...LIST_NAMES, ...(listed ?? []), ...(recorded ?? []), ...(hasRecord ? RECORD_NAMES : [])]);
  const isWritten = (name: string) => names.has(name) || (recorded !== undefined && isTrainerFile(name));
  const entries = await readdir(staging, { withFileTypes: true });
  // The trainer's folders stay listed while an old folder is emptied, whose record may be removed before them.
  const written = entries.filter((entry) => isWritten(entry.name) && (entry.isFile() || isTrainerFile(entry.name)));
  return { written: written.map((entry) => entry.name), hasOthers: written.length < entries.length };
}

function writeList(staging: string, names: readonly string[]): Promise<void> {
  return replaceFile(join(staging, LIST_NAME), JSON.stringify({ files: names }));
}

async function readList(staging: string): Promise<string[] | undefined> {
  const path = join(staging, LIST_NAME);
  try {
    if (!(await lstat(path)).isFile()) return undefined;
    const { files } = JSON.parse(await readRegularFile(path, { maxBytes: MAX_RECORD_BYTES }));
    return Array.isArray(files) ? files.filter((name) => typeof name === 'string') : undefined;
  } catch {
    return undefined;
  }
}
