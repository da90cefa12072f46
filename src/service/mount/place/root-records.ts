import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { digestOf } from '../../../dataset/digest.js';
import { type MountRecord, readRecord, writeRecord } from '../mounted-folder.js';

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

/** A target whose controls or mask in the root are not those of its record. */
export interface OutdatedTarget {
  /** Of the dataset, and of its folder. */
  readonly name: string;
  /** The linked dataset that has changed. */
  readonly linkedName: string;
  /** Whether it is in another state, and not only renamed. */
  readonly hasOtherState: boolean;
}

/**
 * Other targets whose controls or mask are not in the root as they were when the target was mounted, once these are placed.
 *
 * @param placed the datasets whose folders are placed, as they are now
 */
export function outdatedTargets(
  recorded: readonly RecordedFolder[],
  placed: readonly { readonly datasetId: string; readonly name: string; readonly digest: string }[],
): OutdatedTarget[] {
  const now = new Map(placed.map((dataset) => [dataset.datasetId, dataset]));
  return recorded.flatMap(({ name, record: { dataset_id: id, layout, mounted_with: together = [] } }) => {
    const [target, ...linked] = together;
    if (layout !== undefined || target?.dataset_id !== id || now.has(id)) return [];
    const changed = linked.flatMap((link) => {
      const dataset = now.get(link.dataset_id);
      if (dataset === undefined) return [];
      const hasOtherState = dataset.digest !== link.digest;
      return hasOtherState || dataset.name !== link.name ? [{ name, linkedName: link.name, hasOtherState }] : [];
    });
    const first = changed.find(({ hasOtherState }) => hasOtherState) ?? changed[0];
    return first === undefined ? [] : [first];
  });
}

/** For a person. */
export function warningAbout({ name, linkedName }: OutdatedTarget): string {
  const which = JSON.stringify(name);
  return `${which} beside it was mounted with another state of ${JSON.stringify(linkedName)}. Mount ${which} again before you train on it.`;
}

/**
 * Makes the record of a target name its own files alone, before folders of its controls or its mask are replaced. Then a kill
 * between two folders leaves no record of a moment that is not there, and the next mount replaces the target together with the
 * trainer's caches, which may be of either.
 *
 * @returns writes the record back
 */
export async function withdrawMoment(folder: string): Promise<() => Promise<void>> {
  const record = await readRecord(folder);
  if (record?.mounted_with === undefined) return async () => {};
  const { mounted_with: _, ...own } = record;
  const files = own.files.map(({ filename, sha256 }) => ({ filename, upload: { sha256 } }));
  await writeRecord(folder, { ...own, digest: digestOf(files) });
  return () => writeRecord(folder, record);
}
