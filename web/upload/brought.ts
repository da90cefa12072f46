/** A file that a person has brought, and its place in what they brought. */
export interface BroughtFile {
  /** `dogs/puppies/rex.jpg`, or the name alone. */
  readonly path: string;
  /** `undefined` where the browser could not read it. */
  readonly file: File | undefined;
}

/** All that was dropped, folders to their depths. To be called within the event: browsers empty a transfer after it. */
export function filesDropped({ items }: DataTransfer): Promise<BroughtFile[]> {
  const found = [...items]
    .filter(({ kind }) => kind === 'file')
    .map((item) => item.webkitGetAsEntry() ?? item.getAsFile());
  return allOf(
    found.map((each) => {
      if (each === null) return Promise.resolve([]);
      return each instanceof File ? Promise.resolve([{ path: each.name, file: each }]) : filesIn(each);
    }),
  );
}

/** All that was chosen in a dialog of the browser. */
export function filesPicked(files: FileList): BroughtFile[] {
  return [...files].map((file) => ({ path: file.webkitRelativePath || file.name, file }));
}

/** The name of the one folder that all files are in; `''` where there is no such. */
export function folderOf(files: readonly BroughtFile[]): string {
  const folders = new Set(files.map(({ path }) => path.slice(0, Math.max(0, path.indexOf('/')))));
  const [folder = ''] = folders;
  return folders.size === 1 ? folder : '';
}

async function filesIn(entry: FileSystemEntry): Promise<BroughtFile[]> {
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

async function filesInFolder(folder: FileSystemDirectoryEntry): Promise<BroughtFile[]> {
  const reader = folder.createReader();
  const files: BroughtFile[] = [];
  for (;;) {
    const { promise, resolve, reject } = Promise.withResolvers<FileSystemEntry[]>();
    reader.readEntries(resolve, reject);
    const entries = await promise;
    // A hundred at a time in Chromium, and none at the end (https://wicg.github.io/entries-api/#dom-filesystemdirectoryreader-readentries).
    if (entries.length === 0) return files;
    for (const file of await allOf(entries.map(filesIn))) files.push(file);
  }
}

function isFolder(entry: FileSystemEntry): entry is FileSystemDirectoryEntry {
  return entry.isDirectory;
}

async function allOf(parts: readonly Promise<BroughtFile[]>[]): Promise<BroughtFile[]> {
  return (await Promise.all(parts)).flat();
}
