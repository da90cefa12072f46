import type { DatasetFile, Micros, PendingFile, StoredFile, Upload } from './dataset.js';

/**
 * What happens to the files of one stem. Each function takes the group as it is and returns it as it becomes; the catalog
 * writes the difference and moves the counts by it. `undefined` means that the change has lost its subject, because
 * somebody settled, replaced or removed it first.
 */
export type StemGroup = readonly DatasetFile[];

/**
 * Whoever takes in the bytes of a promise holds it under a token of their own, until `releaseLease` or until somebody else
 * has taken over a lease that ran out. From then on nothing is found under the old token: who slept can do no harm.
 */
export interface LeaseHolder {
  readonly id: string;
  readonly token: string;
}

/** A new promise. One made through a link retires the older link promises of that name. */
export function reserve(group: StemGroup, file: PendingFile): StemGroup {
  const isRetired = (other: DatasetFile) => other.filename === file.filename && isByLink(other);
  return [...(isByLink(file) ? group.filter((other) => !isRetired(other)) : group), file];
}

/** Promised through a link, whoever made it; not those whose bytes are on their way already. */
function isByLink({ upload }: DatasetFile): boolean {
  return upload.state === 'pending' && upload.via !== 'direct';
}

/**
 * The bytes begin to arrive, and whoever takes them in gives a sign of life by `until`. `undefined` also where somebody
 * else is taking them in already.
 */
export function acquireLease(
  group: StemGroup,
  id: string,
  lease: { now: Micros; until: Micros; token: string },
): StemGroup | undefined {
  const leaseUntil = pendingOf(group, id)?.upload.leaseUntil ?? null;
  if (leaseUntil !== null && leaseUntil > lease.now) return undefined;
  return replacePending(group, id, (upload) => ({ ...upload, leaseUntil: lease.until, leaseToken: lease.token }));
}

/** A sign of life: the bytes are still arriving. `undefined` also where the lease has run out. */
export function renewLease(
  group: StemGroup,
  holder: LeaseHolder,
  lease: { now: Micros; until: Micros },
): StemGroup | undefined {
  if (!holdsLiveLease(group, holder, lease.now)) return undefined;
  return replacePending(group, holder.id, (upload) => ({ ...upload, leaseUntil: lease.until }));
}

/** The bytes stopped arriving. A link's promise stays open for another try; a direct upload is over. */
export function releaseLease(group: StemGroup, holder: LeaseHolder): StemGroup | undefined {
  const pending = heldBy(group, holder);
  if (pending === undefined || pending.upload.via === 'direct') return withdraw(group, holder);
  return replacePending(group, holder.id, (upload) => ({ ...upload, leaseUntil: null, leaseToken: null }));
}

/**
 * The promise is kept. The file displaces what stood under its name, good or rejected, and fulfils every other link
 * promise of that name whose bytes are not arriving. `undefined` also where the lease has run out: then `sweep` may have
 * removed the bytes.
 */
export function finalize(group: StemGroup, holder: LeaseHolder, stored: StoredFile['upload']): StemGroup | undefined {
  const { id } = holder;
  const filename = heldBy(group, holder)?.filename;
  if (filename === undefined || !holdsLiveLease(group, holder, stored.finalizedAt)) return undefined;
  const isDisplaced = (other: DatasetFile) =>
    other.id !== id &&
    other.filename === filename &&
    (other.upload.state !== 'pending' || (isByLink(other) && (other.upload.leaseUntil ?? 0) <= stored.finalizedAt));
  return replacePending(
    group.filter((other) => !isDisplaced(other)),
    id,
    () => stored,
  );
}

/**
 * The promise is broken: the bytes are not what they claim to be. Over a good file of that name nothing is recorded,
 * since a failed second attempt leaves the first file untouched; the uploader has its answer.
 */
export function reject(
  group: StemGroup,
  holder: LeaseHolder,
  rejected: Extract<Upload, { state: 'rejected' }>,
): StemGroup | undefined {
  const filename = heldBy(group, holder)?.filename;
  if (filename === undefined) return undefined;
  if (group.some((file) => file.filename === filename && file.upload.state === 'stored'))
    return withdraw(group, holder);
  const others = group.filter((file) => !(file.filename === filename && file.upload.state === 'rejected'));
  return replacePending(others, holder.id, () => rejected);
}

function withdraw(group: StemGroup, holder: LeaseHolder): StemGroup | undefined {
  return heldBy(group, holder) === undefined ? undefined : group.filter((file) => file.id !== holder.id);
}

/** Everything under a name goes, but for uploads whose bytes are arriving directly. */
export function remove(group: StemGroup, filename: string): StemGroup | undefined {
  return without(group, (file) => file.filename === filename && (file.upload.state !== 'pending' || isByLink(file)));
}

/** As `remove`, but a good file of that name stays. */
export function withdrawUploads(group: StemGroup, filename: string): StemGroup | undefined {
  return without(group, (file) => file.filename === filename && (file.upload.state === 'rejected' || isByLink(file)));
}

function without(group: StemGroup, isRemoved: (file: DatasetFile) => boolean): StemGroup | undefined {
  return group.some(isRemoved) ? group.filter((file) => !isRemoved(file)) : undefined;
}

function holdsLiveLease(group: StemGroup, holder: LeaseHolder, now: Micros): boolean {
  return (heldBy(group, holder)?.upload.leaseUntil ?? 0) > now;
}

function heldBy(group: StemGroup, { id, token }: LeaseHolder): PendingFile | undefined {
  const pending = pendingOf(group, id);
  return pending?.upload.leaseToken === token ? pending : undefined;
}

function pendingOf(group: StemGroup, id: string): PendingFile | undefined {
  return group.find((file): file is PendingFile => file.id === id && file.upload.state === 'pending');
}

function replacePending(
  group: StemGroup,
  id: string,
  next: (upload: PendingFile['upload']) => Upload,
): StemGroup | undefined {
  const pending = pendingOf(group, id);
  if (pending === undefined) return undefined;
  return group.map((file) => (file === pending ? { ...pending, upload: next(pending.upload) } : file));
}
