import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { folderWith } from '../../harness/folder.js';

type Files = Record<string, Buffer | string>;

/** A folder of that name with these sub-folders; `''` are the files beside them. */
export async function folderOfPairs(subfolders: Record<string, Files>, name: string): Promise<string> {
  const folder = await folderWith(subfolders[''] ?? {}, name);
  for (const [subfolder, files] of Object.entries(subfolders)) {
    await mkdir(join(folder, subfolder), { recursive: true });
    for (const [file, bytes] of Object.entries(files)) await writeFile(join(folder, subfolder, file), bytes);
  }
  return folder;
}
