import type { MountPaths } from '../mount-paths.js';
import { MountError } from '../mount-source.js';
import { type FolderState, foreignChangesIn } from '../mounted-folder.js';

/** What a mount may replace. */
export interface Replacement {
  /** Also a folder that was changed or that trainyard did not mount. */
  readonly replaces: boolean;
  /**
   * Only a folder of this dataset, or an unchanged one of this source: the name of the folder was not asked for, and comes from
   * a service that could name another folder of the root.
   */
  readonly onlyOf?: { readonly datasetId: string; readonly source?: string } | undefined;
}

/** @throws MountError `occupied`, `changed` if files would be lost that neither trainyard nor the trainer wrote */
export function requireReplaceable(
  existing: FolderState,
  { name, folder }: MountPaths,
  { replaces, onlyOf }: Replacement,
): void {
  if (existing.state === 'absent') return;
  const changes = existing.state === 'mounted' ? foreignChangesIn(existing) : [];
  if (onlyOf !== undefined) {
    const record = existing.state === 'mounted' ? existing.record : undefined;
    const isOwn = record?.dataset_id === onlyOf.datasetId;
    const isOfSource = record !== undefined && onlyOf.source !== undefined && record.source === onlyOf.source;
    if (!isOwn && !isOfSource) {
      const message = `${folder} does not hold the dataset ${onlyOf.datasetId}. To replace it, mount the dataset by its name, ${JSON.stringify(name)}.`;
      throw new MountError('occupied', message);
    }
    if (!isOwn && changes.length > 0) {
      const message = `${folder} holds another dataset, ${record?.dataset_id}, and was changed after it was mounted (${changes.join('; ')}). Push the changes, or move the folder away. To discard them, mount the dataset by its name, ${JSON.stringify(name)}.`;
      throw new MountError('changed', message);
    }
  }
  if (replaces) return;
  if (existing.state === 'foreign') {
    const message = `${folder} exists and was not mounted by trainyard. Move it away, or use --replace to overwrite it.`;
    throw new MountError('occupied', message);
  }
  if (changes.length === 0) return;
  const message = `${folder} was changed after it was mounted (${changes.join('; ')}). Push the changes to "${name}", or use --replace to discard them.`;
  throw new MountError('changed', message);
}
