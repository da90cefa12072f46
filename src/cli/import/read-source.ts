import { createWriteStream, openAsBlob } from 'node:fs';
import { readdir, readFile, realpath, stat, writeFile } from 'node:fs/promises';
import { basename, join, resolve, sep } from 'node:path';
import { Writable } from 'node:stream';
import { TABLE_EXTENSIONS } from '../../dataset/import/caption-table.js';
import { isHiddenPath } from '../../dataset/import/entry-paths.js';
import { flattened } from '../../dataset/import/flatten.js';
import type { FoundFile, ImportEntry, ImportSurvey } from '../../dataset/import/survey.js';
import { extensionOf } from '../../dataset/media.js';
import { byFilename } from '../../dataset/names.js';
import { fileVersionOf, type FolderContents, isFolder, type LocalFile, unreadable } from '../folder/read-folder.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { errorMessage, printable } from '../terminal/text.js';

/** An entry of a folder or an archive, with how it becomes a local file. */
export interface SourceEntry extends ImportEntry {
  readonly local: Pick<LocalFile, 'path' | 'version' | 'unpack'>;
}

/**
 * Lists a folder with all in it, a zip, or a table alone.
 *
 * @param options.temporary a folder for entries of an archive while they are used
 * @throws CommandError with 66, or with 65 for a file that is no zip; ServiceError for a damaged one
 */
export async function readSource(
  source: string,
  { temporary, follow, signal }: { temporary: string; follow: boolean; signal: AbortSignal },
): Promise<SourceEntry[]> {
  const path = resolve(source);
  if (!(await isFolder(source))) {
    if (!TABLE_EXTENSIONS.includes(extensionOf(path))) return readZip(source, temporary);
    return [{ ...(await folderEntry({ path, name: basename(path) })), isTable: true }];
  }
  const entries: SourceEntry[] = [];
  const walk = { root: follow ? '/' : join(await realpath(path), sep), signal, entries };
  // With the name of the folder, which may be kohya's.
  await addFolder({ path, name: basename(path) }, walk);
  return entries;
}

async function readZip(source: string, temporary: string): Promise<SourceEntry[]> {
  if (/\.(tar|tgz|gz|7z|rar|xz|zst)$/i.test(source)) {
    const message = `${printable(source)} is neither a folder nor a zip. Unpack it, and import the folder.`;
    throw new CommandError(EXIT.dataError, message);
  }
  const archive = fileVersionOf(await stat(source, { bigint: true }));
  const blob = await openAsBlob(source).catch(unreadable(source));
  const { openZip } = await import('../../dataset/import/zip-archive.js');
  const entries = await openZip(blob, printable(basename(source)));
  return entries.map((entry, index) => {
    const path = join(temporary, String(index));
    const unpack = () => entry.unpackTo(Writable.toWeb(createWriteStream(path)));
    return { ...entry, local: { path, version: `${archive}:${index}`, unpack } };
  });
}

interface Walk {
  /** Links may not lead out of it. */
  readonly root: string;
  readonly signal: AbortSignal;
  readonly entries: SourceEntry[];
}

async function addFolder({ path, name }: { path: string; name: string }, walk: Walk): Promise<void> {
  const { root, signal, entries } = walk;
  signal.throwIfAborted();
  const found = await readdir(path, { withFileTypes: true }).catch(unreadable(path));
  for (const each of found.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const place = { path: join(path, each.name), name: `${name}/${each.name}` };
    if (each.isDirectory() && !isHiddenPath(each.name)) await addFolder(place, walk);
    else entries.push(await folderEntry(place, each.isSymbolicLink() ? root : undefined));
  }
}

async function folderEntry({ path, name }: { path: string; name: string }, link?: string): Promise<SourceEntry> {
  const entry = { path: name, sizeBytes: 0, modified: 0, bytes: () => readFile(path) };
  try {
    const stats = await stat(path, { bigint: true });
    const isOutside = link !== undefined && !(await realpath(path)).startsWith(link);
    const fault = isOutside
      ? 'It is a link that leads out of the folder. To follow such links, add --follow.'
      : stats.isFile()
        ? undefined
        : 'It is not a file.';
    return {
      ...entry,
      fault,
      sizeBytes: Number(stats.size),
      modified: Number(stats.mtimeMs),
      local: { path, version: fileVersionOf(stats) },
    };
  } catch (error) {
    return { ...entry, fault: `It can't be read: ${errorMessage(error)}.`, local: { path, version: '' } };
  }
}

/** Names the files, and writes the captions of tables as files, so that they can be pushed. */
export async function importContents(
  survey: ImportSurvey<SourceEntry>,
  temporary: string,
): Promise<{ files: FoundFile<SourceEntry>[]; contents: FolderContents }> {
  const files = flattened(survey.files);
  const local: LocalFile[] = [];
  for (const [index, { name: filename, sizeBytes, content }] of files.entries()) {
    if ('entry' in content) local.push({ filename, sizeBytes, ...content.entry.local });
    else {
      const path = join(temporary, `text-${index}`);
      await writeFile(path, content.text);
      local.push({ filename, sizeBytes, path, version: content.text });
    }
  }
  const skipped = survey.skipped.map(({ code, path, reason }) => {
    return { code, filename: path, message: `${printable(path)}: ${reason}` };
  });
  return {
    files,
    contents: { files: local.sort(byFilename), skipped: skipped.sort(byFilename), faults: [], unreadable: [] },
  };
}
