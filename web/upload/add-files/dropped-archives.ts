import { isHiddenPath, kohyaOf, topFolderOf } from '../../../src/dataset/import/entry-paths.js';
import { messageOf } from '../../ui/format.js';
import type { DroppedFile } from './dropped-files.js';

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
      const root = topFolderOf(entries.flatMap((entry) => (isHiddenPath(entry.path) ? [] : entry.path)));
      // A folder of kohya's says the repeats.
      const start = root === '' || kohyaOf(root) !== undefined ? '' : `${root}/`;
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
