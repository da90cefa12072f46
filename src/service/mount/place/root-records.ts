import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type MountRecord, type RecordedDataset, readRecord } from '../mounted-folder.js';

/** A mounted folder in a root. */
export interface RecordedFolder {
  readonly name: string;
  /** Without the files, which may be many. */
  readonly record: Omit<MountRecord, 'files'>;
}

/** The mounted folders in a root. A folder that a person has renamed is not one of them. */
export async function recordedFoldersIn(root: string): Promise<RecordedFolder[]> {
  const found: RecordedFolder[] = [];
  for (const entry of await readdir(root, { withFileTypes: true })) {
    if (!entry.isDirectory() || entry.name.startsWith('.')) continue;
    const whole = await readRecord(join(root, entry.name)).catch(() => undefined);
    if (whole?.name !== entry.name) continue;
    const { files: _, ...record } = whole;
    found.push({ name: entry.name, record });
  }
  return found;
}

/**
 * Other targets whose controls or mask are no longer in the root as they were when the target was mounted.
 *
 * @param placed the datasets whose folders were placed, as they are now
 * @returns warnings for a person
 */
export function otherMoments(
  recorded: readonly RecordedFolder[],
  placed: readonly { readonly datasetId: string; readonly name: string; readonly digest: string }[],
): string[] {
  const now = new Map(placed.map((dataset) => [dataset.datasetId, dataset]));
  return recorded.flatMap(({ name, record: { dataset_id: id, layout, mounted_with: together = [] } }) => {
    const [target, ...linked] = together;
    if (layout !== undefined || target?.dataset_id !== id || now.has(id)) return [];
    const isOther = (link: RecordedDataset) => {
      const dataset = now.get(link.dataset_id);
      return dataset !== undefined && (dataset.digest !== link.digest || dataset.name !== link.name);
    };
    const other = linked.find(isOther);
    if (other === undefined) return [];
    const which = JSON.stringify(name);
    return [
      `${which} beside it was mounted with another state of ${JSON.stringify(other.name)}. Mount ${which} again before you train on it.`,
    ];
  });
}
