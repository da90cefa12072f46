import { isHiddenPath, kohyaOf, REGULARIZATION, topFolderOf } from '../../../src/dataset/import/entry-paths.js';
import { extensionOf, type FileKind, mediaTypeOf, stemOf } from '../../../src/dataset/media.js';
import type { PackedEntry } from '../../../src/dataset/import/zip-archive.js';
import { messageOf } from '../../ui/format.js';
import type { ReplacedEntry } from '../queue/replace-entry.js';

/** A file that the user dropped or picked. */
export interface DroppedFile {
  /** Within the dropped folder, such as `dogs/puppies/rex.jpg`; for a single file, its name. */
  readonly path: string;
  /** `undefined` if the browser could not read it, and for an entry of an archive. */
  readonly file: File | undefined;
  readonly packed?: PackedEntry;
  /** Why it can't be read, as a sentence. */
  readonly fault?: string;
  /** The entry of another name whose place it takes. */
  readonly replaces?: ReplacedEntry;
}

/** Lists all dropped files, in subfolders too. Call it within the event: browsers empty the transfer afterwards. */
export async function listDroppedFiles({ items }: DataTransfer): Promise<DroppedFile[]> {
  const dropped = [...items].filter(({ kind }) => kind === 'file');
  const entries = dropped.map((item) => item.webkitGetAsEntry() ?? item.getAsFile());
  const files: DroppedFile[] = [];
  for (const entry of entries) {
    if (entry instanceof File) files.push({ path: entry.name, file: entry });
    else if (entry !== null) for (const file of await filesIn(entry)) files.push(file);
  }
  return files;
}

/** Lists the files of a file input. */
export function listPickedFiles(files: FileList): DroppedFile[] {
  return [...files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
}

/** The input whose dialog was opened last. It is in no document: without a reference it may be collected, and the choice is lost. */
let choosing: HTMLInputElement | undefined;

/** Lets the user choose files, several with `multiple`. Call it within a click. Nothing happens if the user chooses none. */
export function chooseFiles(
  { accept = '', multiple = false }: { accept?: string; multiple?: boolean },
  onChosen: (files: readonly File[]) => void,
): void {
  const input = document.createElement('input');
  Object.assign(input, { type: 'file', accept, multiple });
  input.onchange = () => onChosen([...(input.files ?? [])]);
  choosing = input;
  choosing.click();
}

/** Lets the user choose a file that takes the place of another one: under its stem, with the extension of the chosen file. */
export function chooseReplacement(filename: string, onChosen: (file: File) => void): void {
  chooseFiles({ accept: ACCEPTED[mediaTypeOf(filename)?.kind ?? 'image'] }, ([chosen]) => {
    if (chosen === undefined) return;
    const extension = extensionOf(chosen.name);
    const name = extension === extensionOf(filename) ? filename : `${stemOf(filename)}${extension}`;
    onChosen(new File([chosen], name, { type: chosen.type, lastModified: chosen.lastModified }));
  });
}

const ACCEPTED: Record<FileKind, string> = { image: 'image/*', video: 'video/*', caption: '.txt,.json' };

async function filesIn(entry: FileSystemEntry): Promise<DroppedFile[]> {
  const path = entry.fullPath.replace(/^\//, '');
  try {
    if (isFolder(entry)) return await filesInFolder(entry);
    const { promise, resolve, reject } = Promise.withResolvers<File>();
    (entry as FileSystemFileEntry).file(resolve, reject);
    return [{ path, file: await promise }];
  } catch {
    return [{ path, file: undefined }];
  }
}

async function filesInFolder(folder: FileSystemDirectoryEntry): Promise<DroppedFile[]> {
  const reader = folder.createReader();
  const files: DroppedFile[] = [];
  for (;;) {
    const { promise, resolve, reject } = Promise.withResolvers<FileSystemEntry[]>();
    reader.readEntries(resolve, reject);
    const entries = await promise;
    // Returns batches, of 100 in Chromium, and an empty one at the end (https://wicg.github.io/entries-api/#dom-filesystemdirectoryreader-readentries).
    if (entries.length === 0) return files;
    // Sequentially: the results of many concurrent reads would arrive as one long task and block the page.
    for (const entry of entries) for (const file of await filesIn(entry)) files.push(file);
  }
}

function isFolder(entry: FileSystemEntry): entry is FileSystemDirectoryEntry {
  return entry.isDirectory;
}

/** Lists the entries of dropped zips in place of these, below a folder of the name of the zip. Nothing is unpacked. */
export async function withEntriesOfArchives(dropped: readonly DroppedFile[]): Promise<readonly DroppedFile[]> {
  if (!dropped.some(({ path }) => isZip(path))) return dropped;
  const { openZip } = await import('../../../src/dataset/import/zip-archive.js');
  const files: DroppedFile[] = [];
  for (const each of dropped) {
    const { path, file } = each;
    if (file === undefined || !isZip(path)) {
      files.push(each);
      continue;
    }
    try {
      const entries = await openZip(file, file.name);
      const root = topFolderOf(entries.filter((entry) => !isHiddenPath(entry.path)));
      // A folder of kohya's says the repeats, or that its images regularize.
      const isOfKohya = kohyaOf(root) !== undefined || REGULARIZATION.test(`${root}/`);
      const start = root === '' || isOfKohya ? '' : `${root}/`;
      for (const packed of entries) {
        const inner = packed.path.startsWith(start) ? packed.path.slice(start.length) : packed.path;
        files.push({ path: `${path.replace(/\.zip$/i, '')}/${inner}`, file: undefined, packed });
      }
    } catch (error) {
      files.push({ path, file: undefined, fault: messageOf(error) });
    }
  }
  return files;
}

function isZip(path: string): boolean {
  return path.toLowerCase().endsWith('.zip');
}
