import {
  type CompleteFile,
  type DatasetFile,
  isStored,
  liveUntil,
  type Micros,
  type PendingFile,
  type ReceivedFile,
  type StoredFile,
  type Tags,
  type Upload,
  type WriteCondition,
} from './dataset.js';
import { type FieldProblem, ServiceError } from './errors.js';
import type { Inspection } from './inspect/inspection.js';
import { MEDIA } from './media.js';
import { errorIn, type ErrorProblem, warningIn } from './problems.js';

/**
 * All files of one stem. Transitions return the changed group, or `undefined` if their upload was finalized, replaced or removed
 * meanwhile. The catalog writes the difference and updates the counts.
 */
export type StemGroup = readonly DatasetFile[];

type RejectedUpload = Extract<Upload, { state: 'rejected' }>;

/** The token is valid until `releaseLease`, or until another caller acquires the expired lease. */
export interface LeaseHolder {
  readonly id: string;
  readonly token: string;
}

/** One for each extension. Cases of extensions could be two hundred, and each change reads the whole group. */
export const MAX_NAMES_PER_STEM = Object.keys(MEDIA).length;

export function tooManyNames(filename: string): ServiceError {
  const message = `The dataset has ${MAX_NAMES_PER_STEM} names that differ from ${filename} only in the extension, and may not have more. Rename the file, or delete some of them.`;
  return new ServiceError('invalid_name', message);
}

/** @throws ServiceError `invalid_name` */
function requireNameInStem(group: StemGroup, filename: string): void {
  const names = new Set(group.map((file) => file.filename));
  if (names.size >= MAX_NAMES_PER_STEM && !names.has(filename)) throw tooManyNames(filename);
}

/**
 * Withdraws uploads by older links to the filename.
 *
 * @param arrived the ids of presigned uploads whose bytes are in the store, with success for their clients: they stay
 * @throws ServiceError `invalid_name`
 */
export function reserve(group: StemGroup, file: PendingFile, arrived: ReadonlySet<string> = new Set()): StemGroup {
  requireNameInStem(group, file.filename);
  const isWithdrawn = (other: DatasetFile) =>
    isByLink(file) && isByLink(other) && other.filename === file.filename && !arrived.has(other.id);
  return [...group.filter((other) => !isWithdrawn(other)), file];
}

/** Unlike a direct upload, a link may never be used. */
function isByLink({ upload }: DatasetFile): boolean {
  return upload.state === 'pending' && upload.via !== 'direct';
}

/** Frees the bytes of expired links of this service; through a presigned link, they may be in the store. */
export function endReservations(group: StemGroup, now: Micros): StemGroup {
  return group.map((file) => {
    const { upload } = file;
    const isEnded = upload.state === 'pending' && upload.via === 'link' && liveUntil(upload) <= now;
    return isEnded && upload.expectedBytes !== null ? { ...file, upload: { ...upload, expectedBytes: null } } : file;
  });
}

/** Returns `undefined` also while another holder's lease is valid. */
export function acquireLease(
  group: StemGroup,
  id: string,
  lease: { now: Micros; until: Micros; token: string },
): StemGroup | undefined {
  const leaseUntil = fileIn(group, id, 'pending')?.upload.leaseUntil ?? null;
  if (leaseUntil !== null && leaseUntil > lease.now) return undefined;
  return replacePending(group, id, (upload) => ({ ...upload, leaseUntil: lease.until, leaseToken: lease.token }));
}

/** Returns `undefined` also for an expired lease. */
export function renewLease(
  group: StemGroup,
  holder: LeaseHolder,
  lease: { now: Micros; until: Micros },
): StemGroup | undefined {
  if (heldBy(group, holder, lease.now) === undefined) return undefined;
  return replacePending(group, holder.id, (upload) => ({ ...upload, leaseUntil: lease.until }));
}

/** Ends an attempt without a result. A link can be used again; a direct upload is removed. */
export function releaseLease(group: StemGroup, holder: LeaseHolder): StemGroup | undefined {
  const pending = heldBy(group, holder);
  if (pending === undefined || pending.upload.via === 'direct') return withdraw(group, holder);
  return replacePending(group, holder.id, (upload) => ({ ...upload, leaseUntil: null, leaseToken: null }));
}

/**
 * Ends the holder's pending upload. Stored bytes replace all files of the name except uploads that are being received; bytes that
 * wait for a check replace only unused links, until it succeeds. Returns `undefined` also for an expired lease, since cleanup may
 * have removed the bytes.
 *
 * @throws PreconditionFailed
 */
export function finalize(group: StemGroup, holder: LeaseHolder, upload: CompleteFile['upload']): StemGroup | undefined {
  const held = heldBy(group, holder, completedAt(upload));
  if (held === undefined) return undefined;
  // The bytes of a newer link were found first.
  const isOutdated = (newestComplete(group, held.filename)?.createdAt ?? 0) > held.createdAt;
  if (held.upload.via === 'presigned' && isOutdated) return group.filter((file) => file !== held);
  requireCondition(held.upload.condition, held.filename, storedFileIn(group, held.filename));
  return replaceOthers(group, held, upload);
}

/** Adds a file without a reservation; replaces as `finalize`. @throws PreconditionFailed; ServiceError `invalid_name` */
export function store(group: StemGroup, file: StoredFile, condition: WriteCondition | undefined): StemGroup {
  requireCondition(condition, file.filename, storedFileIn(group, file.filename));
  requireNameInStem(group, file.filename);
  return replaceOthers([...group, file], file, file.upload);
}

function completedAt(upload: CompleteFile['upload']): Micros {
  return upload.state === 'stored' ? upload.finalizedAt : upload.receivedAt;
}

/** @param upload the next one of the file */
function replaceOthers(group: StemGroup, file: DatasetFile, upload: CompleteFile['upload']): StemGroup {
  const isGone = (other: DatasetFile) =>
    other.id !== file.id && other.filename === file.filename && isReplaced(other, file, upload);
  const next = upload.state === 'stored' ? withReplaced({ ...file, upload }, group.filter(isGone)) : upload;
  return withUpload(
    group.filter((other) => !isGone(other)),
    file,
    next,
  );
}

function isReplaced(other: DatasetFile, file: DatasetFile, upload: CompleteFile['upload']): boolean {
  const [{ upload: old }, { upload: before }] = [other, file];
  // A link is used while bytes are received through it. At the end of a check, all links were reserved after its beginning.
  if (old.state === 'pending') {
    const isOlder = before.state !== 'received' && other.createdAt <= file.createdAt;
    return isOlder && isByLink(other) && (old.leaseUntil ?? 0) <= completedAt(upload);
  }
  if (upload.state === 'received') return false;
  return !(old.state === 'received' && before.state === 'received') || old.receivedAt <= before.receivedAt;
}

/** A received or stored file of the name stays, with a warning after a presigned upload, which no response of ours reported. */
export function reject(group: StemGroup, holder: LeaseHolder, rejected: RejectedUpload): StemGroup | undefined {
  const pending = heldBy(group, holder);
  if (pending === undefined) return undefined;
  const isReported = pending.upload.via !== 'presigned';
  return rejectFile(group, pending, { rejected, kept: newestComplete(group, pending.filename), isReported });
}

function rejectFile(
  group: StemGroup,
  file: DatasetFile,
  { rejected, kept, isReported }: { rejected: RejectedUpload; kept: CompleteFile | undefined; isReported: boolean },
): StemGroup {
  const { filename } = file;
  if (kept === undefined) {
    const others = group.filter((other) => !(other.filename === filename && other.upload.state === 'rejected'));
    return withUpload(others, file, rejected);
  }
  const others = group.filter((other) => other !== file);
  if (isReported) return others;
  return withUpload(others, kept, withRejectedReplacement(kept.upload, filename, rejected.problem));
}

/** Last received, or else stored. */
function newestComplete(group: StemGroup, filename: string): CompleteFile | undefined {
  const named = group.filter((file) => file.filename === filename);
  const received = named.filter((file): file is ReceivedFile => file.upload.state === 'received');
  received.sort((a, b) => b.upload.receivedAt - a.upload.receivedAt);
  return received[0] ?? named.find(isStored);
}

export function withdraw(group: StemGroup, holder: LeaseHolder): StemGroup | undefined {
  return heldBy(group, holder) === undefined ? undefined : group.filter((file) => file.id !== holder.id);
}

/** Direct uploads stay; with a condition, also received and presigned ones, which may be unseen. @throws PreconditionFailed */
export function remove(group: StemGroup, filename: string, condition?: WriteCondition): StemGroup | undefined {
  requireCondition(condition, filename, storedFileIn(group, filename));
  const isRemoved = (file: DatasetFile) => {
    const { upload } = file;
    if (file.filename !== filename) return false;
    if (upload.state !== 'pending') return condition === undefined || upload.state !== 'received';
    return upload.via === 'link' || (upload.via === 'presigned' && condition === undefined);
  };
  const remaining = group.filter((file) => !isRemoved(file));
  return remaining.length < group.length ? remaining : undefined;
}

/** As `remove`, but keeps the stored file. */
export function withdrawUploads(group: StemGroup, filename: string): StemGroup | undefined {
  const isWithdrawn = (file: DatasetFile) =>
    file.upload.state === 'rejected' || file.upload.state === 'received' || isByLink(file);
  const remaining = group.filter((file) => file.filename !== filename || !isWithdrawn(file));
  return remaining.length < group.length ? remaining : undefined;
}

/** Warns if a newer upload was rejected, or if a replaced one was answered with success and is in no revision. */
function withReplaced({ filename, createdAt, upload: given }: StoredFile, replaced: StemGroup): StoredFile['upload'] {
  const warnings = [];
  const same = replaced.find(({ upload }) => upload.state === 'stored' && upload.sha256 === given.sha256)?.upload;
  // The same text is still that of its first author.
  const upload = same?.state === 'stored' && same.origin !== undefined ? { ...given, origin: same.origin } : given;
  for (const { createdAt: otherAt, upload: other } of replaced) {
    if (other.state === 'rejected' && otherAt > createdAt)
      return withRejectedReplacement(upload, filename, other.problem);
    if (other.state !== 'received') continue;
    if (other.sha256 !== upload.sha256) return withRejectedReplacement(upload, filename, changedMeanwhile(filename));
    // A presigned upload was rejected while this one was being checked.
    warnings.push(...other.warnings.filter(({ code }) => code === 'REPLACEMENT_REJECTED'));
  }
  return { ...upload, warnings: [...upload.warnings, ...warnings.slice(0, 1)] };
}

function withRejectedReplacement<U extends CompleteFile['upload']>(
  upload: U,
  filename: string,
  problem: ErrorProblem,
): U {
  const message = `Another upload of ${filename} was rejected, so this file is kept: ${problem.message}`;
  const others = upload.warnings.filter(({ code }) => code !== 'REPLACEMENT_REJECTED');
  return { ...upload, warnings: [...others, warningIn(filename, 'REPLACEMENT_REJECTED', message)] };
}

/** @param at a time at which the lease is still valid; any by default */
function heldBy(group: StemGroup, { id, token }: LeaseHolder, at = Number.NEGATIVE_INFINITY): PendingFile | undefined {
  const pending = fileIn(group, id, 'pending');
  return pending?.upload.leaseToken === token && (pending.upload.leaseUntil ?? 0) > at ? pending : undefined;
}

function fileIn<S extends Upload['state']>(group: StemGroup, id: string, state: S) {
  type Found = DatasetFile<Extract<Upload, { state: S }>>;
  return group.find((file): file is Found => file.id === id && file.upload.state === state);
}

function replacePending(
  group: StemGroup,
  id: string,
  next: (upload: PendingFile['upload']) => Upload,
): StemGroup | undefined {
  const pending = fileIn(group, id, 'pending');
  return pending && withUpload(group, pending, next(pending.upload));
}

/*
 * Transitions of files that are checked in the background. Each returns `undefined`, and changes nothing, if the file was checked,
 * replaced or removed meanwhile.
 */

/** Stores the file in place of older ones of its name, or rejects it if its condition is no longer met. */
export function acceptReceived(group: StemGroup, id: string, stored: StoredFile['upload']): StemGroup | undefined {
  const received = fileIn(group, id, 'received');
  if (received === undefined) return undefined;
  const { filename } = received;
  if (!meetsCondition(received.upload.condition, storedFileIn(group, filename))) {
    const { finalizedAt } = stored;
    return rejectReceived(group, id, { state: 'rejected', problem: changedMeanwhile(filename), finalizedAt });
  }
  // A presigned upload was rejected during the check.
  const kept = received.upload.warnings.filter(({ code }) => code === 'REPLACEMENT_REJECTED');
  return replaceOthers(group, received, { ...stored, warnings: [...stored.warnings, ...kept] });
}

/** A stored file of the name stays, with a warning, since the client's answer did not report the rejection. */
export function rejectReceived(group: StemGroup, id: string, rejected: RejectedUpload): StemGroup | undefined {
  const received = fileIn(group, id, 'received');
  if (received === undefined) return undefined;
  return rejectFile(group, received, { rejected, kept: storedFileIn(group, received.filename), isReported: false });
}

/** Records a recheck of a stored file, whose bytes stay. Returns `undefined` also if it found nothing new. */
export function recordRecheck(group: StemGroup, id: string, found: Inspection): StemGroup | undefined {
  const file = fileIn(group, id, 'stored');
  if (file === undefined) return undefined;
  const { problem: _, ...intact } = file.upload;
  const kept = intact.warnings.filter(({ code }) => code === 'REPLACEMENT_REJECTED');
  const upload = found.ok
    ? { ...intact, contentType: found.contentType, facts: found.facts, warnings: [...found.warnings, ...kept] }
    : { ...intact, problem: found.problem };
  return isSameUpload(upload, file.upload) ? undefined : withUpload(group, file, upload);
}

function isSameUpload(a: StoredFile['upload'], b: StoredFile['upload']): boolean {
  const textOf = ({ contentType, facts, warnings, problem }: StoredFile['upload']) =>
    JSON.stringify([contentType, facts, warnings, problem]);
  return textOf(a) === textOf(b);
}

function withUpload(group: StemGroup, changed: DatasetFile, upload: Upload): StemGroup {
  return group.map((file) => (file === changed ? { ...changed, upload } : file));
}

/** What a client needs to know of it. */
export type CurrentFile = Pick<StoredFile['upload'], 'sha256' | 'sizeBytes'>;

/** The file under the name is not the one that the client expects. */
export class PreconditionFailed extends ServiceError {
  /** `undefined` if there is no such file. */
  readonly current: CurrentFile | undefined;

  constructor(filename: string, current: CurrentFile | undefined, options: { detail?: readonly FieldProblem[] } = {}) {
    const found =
      current === undefined ? 'does not exist in the dataset' : 'is in the dataset, and not as the request expects it';
    super(
      'precondition_failed',
      `${filename} ${found}, so nothing was written. Read it again and decide what to keep.`,
      options,
    );
    this.name = 'PreconditionFailed';
    this.current = current;
  }
}

export function storedFileIn(files: readonly DatasetFile[], filename: string): StoredFile | undefined {
  return files.filter(isStored).find((file) => file.filename === filename);
}

/** @throws PreconditionFailed */
export function requireCondition(
  condition: WriteCondition | undefined,
  filename: string,
  stored: StoredFile | undefined,
): void {
  if (!meetsCondition(condition, stored)) throw new PreconditionFailed(filename, stored?.upload);
}

export function meetsCondition(
  { ifMatch, ifNoneMatch }: WriteCondition = {},
  stored: Pick<StoredFile, 'upload'> | undefined,
): boolean {
  const sha256 = stored?.upload.sha256;
  const isAmong = (tags: Tags) => sha256 !== undefined && (tags === '*' || tags.includes(sha256));
  return (ifMatch === undefined || isAmong(ifMatch)) && (ifNoneMatch === undefined || !isAmong(ifNoneMatch));
}

/** For an upload that was answered with success, and not stored because of another one. */
export function changedMeanwhile(filename: string): ErrorProblem {
  const message = `${filename} was changed by another upload before this one was stored. Upload it again to replace the new file.`;
  return errorIn(filename, 'FILE_CHANGED', message);
}
