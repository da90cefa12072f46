/** A file that a person has brought, and its place in what they brought. */
export interface DroppedFile {
  /** `dogs/puppies/rex.jpg`, or the name alone. */
  readonly path: string;
  /** `undefined` where the browser could not read it. */
  readonly file: File | undefined;
}

/** All that was dropped, folders to their depths. To be called within the event: browsers empty a transfer after it. */
export async function listDroppedFiles({ items }: DataTransfer): Promise<DroppedFile[]> {
  const dropped = [...items].filter(({ kind }) => kind === 'file');
  const found = dropped.map((item) => item.webkitGetAsEntry() ?? item.getAsFile());
  const files: DroppedFile[] = [];
  for (const each of found) {
    if (each instanceof File) files.push({ path: each.name, file: each });
    else if (each !== null) for (const file of await filesIn(each)) files.push(file);
  }
  return files;
}

/** All that was chosen in a dialog of the browser. */
export function listPickedFiles(files: FileList): DroppedFile[] {
  return [...files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
}

/** The name of the one folder that all files are in; `''` where there is no such. */
export function commonFolderOf(files: readonly DroppedFile[]): string {
  const folders = new Set(files.map(({ path }) => path.slice(0, Math.max(0, path.indexOf('/')))));
  const [folder = ''] = folders;
  return folders.size === 1 ? folder : '';
}

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
    // A hundred at a time in Chromium, and none at the end (https://wicg.github.io/entries-api/#dom-filesystemdirectoryreader-readentries).
    if (entries.length === 0) return files;
    // One by one: the answers to many questions at once are one long task of the browser's.
    for (const entry of entries) for (const file of await filesIn(entry)) files.push(file);
  }
}

function isFolder(entry: FileSystemEntry): entry is FileSystemDirectoryEntry {
  return entry.isDirectory;
}
