import type { MountPaths } from '../mount-paths.js';
import { MountError } from '../mount-source.js';
import type { FolderState } from '../mounted-folder.js';

/** What a mount may replace. */
export interface Replacement {
  /** Also a folder that was changed or that trainyard did not mount. */
  readonly replaces: boolean;
  /**
   * Only a folder of this dataset, or of this source: the name of the folder was not asked for, and comes from a service that
   * could name another folder of the root.
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
  if (onlyOf !== undefined) {
    const record = existing.state === 'mounted' ? existing.record : undefined;
    const isOwn = record?.dataset_id === onlyOf.datasetId;
    const isOfSource = record !== undefined && onlyOf.source !== undefined && record.source === onlyOf.source;
    if (!isOwn && !isOfSource) {
      const message = `${folder} does not hold the dataset ${onlyOf.datasetId}. To replace it, mount the dataset by its name, ${JSON.stringify(name)}.`;
      throw new MountError('occupied', message);
    }
  }
  if (replaces) return;
  if (existing.state === 'foreign') {
    const message = `${folder} exists and was not mounted by trainyard. Move it away, or use --replace to overwrite it.`;
    throw new MountError('occupied', message);
  }
  const reasons = foreignChangesIn(existing);
  if (reasons.length === 0) return;
  const message = `${folder} was changed after it was mounted (${reasons.join('; ')}). Push the changes to "${name}", or use --replace to discard them.`;
  throw new MountError('changed', message);
}

/** What was done to a mounted folder by something that is neither a mount nor a trainer, for a person. */
export function foreignChangesIn(existing: FolderState & { state: 'mounted' }): string[] {
  const added = [...existing.unexpected, ...existing.unexpectedHidden];
  return [
    ...(existing.changed.length > 0 ? [`changed or removed: ${listOf(existing.changed)}`] : []),
    ...(added.length > 0 ? [`added: ${listOf(added)}`] : []),
  ];
}

function listOf(names: readonly string[]): string {
  const shown = names.slice(0, 3).map((name) => JSON.stringify(name));
  return names.length > shown.length ? `${shown.join(', ')} and ${names.length - shown.length} more` : shown.join(', ');
}
