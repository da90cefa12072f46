import type { DatasetCounts, DatasetFile, Role, StoredFile, Upload } from './dataset.js';
import { groupedBy } from './grouped-by.js';
import { mediaTypeOf, mountedNameOf, stemOf } from './media.js';

export type CountedFile = Pick<DatasetFile, 'filename' | 'kind'> & {
  readonly upload: Upload | Pick<StoredFile['upload'], 'state' | 'sizeBytes' | 'problem'>;
};

/** Sums over the stem groups, as for a training dataset. */
export type StemCounts = Omit<DatasetCounts, 'pendingUntil' | 'lastActivity' | 'unpaired'>;

const ZERO: StemCounts = {
  pending: 0,
  received: 0,
  rejected: 0,
  images: 0,
  videos: 0,
  captions: 0,
  trainable: 0,
  uncaptioned: 0,
  collisions: 0,
  bytes: 0,
};

export const COUNT_FIELDS = Object.keys(ZERO) as (keyof StemCounts)[];

export function countsOf(files: readonly CountedFile[]): StemCounts {
  const counts = { ...ZERO };
  for (const group of stemGroupsOf(files).values()) addStem(counts, group);
  return counts;
}

function addStem(counts: Record<keyof StemCounts, number>, group: readonly CountedFile[]): void {
  const mountedNames = new Set<string>();
  let [media, hasText] = [0, false];
  for (const { filename, kind, upload } of group) {
    if (upload.state !== 'stored') counts[upload.state]++;
    else {
      if (upload.problem !== undefined) counts.rejected++;
      counts.bytes += upload.sizeBytes;
      counts[`${kind}s`]++;
      if (kind !== 'caption') media++;
      const type = mediaTypeOf(filename);
      if (type?.trainable) counts.trainable++;
      hasText ||= type?.format === 'text';
      const mountedName = mountedNameOf(filename);
      if (mountedNames.has(mountedName)) counts.collisions++;
      mountedNames.add(mountedName);
    }
  }
  if (!hasText) counts.uncaptioned += media;
}

/** The counts after one stem group changed: only files of one stem pair or collide. */
export function recount(counts: StemCounts, before: readonly CountedFile[], after: readonly CountedFile[]): StemCounts {
  const [minus, plus] = [countsOf(before), countsOf(after)];
  const changed = { ...ZERO };
  for (const key of COUNT_FIELDS) changed[key] = counts[key] - minus[key] + plus[key];
  return changed;
}

/** Case-sensitive. */
export function stemGroupsOf<F extends Pick<DatasetFile, 'filename'>>(files: readonly F[]): Map<string, F[]> {
  return groupedBy(files, ({ filename }) => stemOf(filename));
}

export function countsInRole<C extends Pick<StemCounts, 'uncaptioned' | 'trainable' | 'videos'>>(
  counts: C,
  role: Role,
): C {
  if (role === 'training') return counts;
  // The trainer reads clips as controls, but not as masks (ai-toolkit `toolkit/dataloader_mixins.py:1576`).
  const trainable = role === 'mask' ? counts.trainable - counts.videos : counts.trainable;
  return { ...counts, trainable, uncaptioned: 0 };
}

/** What counts towards the limits of an account. */
export interface Usage {
  /** Names with any upload. */
  readonly files: number;
  /** The largest upload of each name, so that a replacement counts only what it adds. */
  readonly bytes: number;
}

/** For one dataset. An account's totals must always equal the sum over its datasets. */
export function usageOf(files: readonly DatasetFile[]): Usage {
  const sizes = new Map<string, number>();
  for (const { filename, upload } of files) {
    sizes.set(filename, Math.max(sizes.get(filename) ?? 0, sizeOf(upload)));
  }
  return { files: sizes.size, bytes: [...sizes.values()].reduce((sum, bytes) => sum + bytes, 0) };
}

/** A direct upload has no size until it has arrived. */
function sizeOf(upload: Upload): number {
  if (upload.state === 'pending') return upload.expectedBytes ?? 0;
  return upload.state === 'rejected' ? 0 : upload.sizeBytes;
}
