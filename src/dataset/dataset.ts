import type { Facts } from './inspect/inspection.js';
import type { FileKind } from './media.js';
import type { ErrorProblem, Warning } from './problems.js';

/** A moment in microseconds since 1970 UTC; the contract's times have six digits after the second. */
export type Micros = number;

export const MICROS_PER_SECOND = 1_000_000;

/** The contract's four statuses, `contract/API.md`. */
export type Status = 'DRAFT' | 'UPLOADING' | 'READY' | 'FAILED';

export interface Dataset {
  readonly id: string;
  readonly accountId: string;
  readonly name: string;
  readonly createdAt: Micros;
  readonly updatedAt: Micros;
  readonly counts: DatasetCounts;
}

/** One attempt to bring a file: a promise that is still open, was kept, or was broken. */
export type Upload =
  | {
      readonly state: 'pending';
      /**
       * A signed link of ours waits for its PUT, and a presigned one for an object in the store, until `expiresAt`; a direct
       * upload's bytes are on their way already.
       */
      readonly via: 'link' | 'presigned' | 'direct';
      readonly expectedBytes: number | null;
      /** Bytes may begin to arrive until then. */
      readonly expiresAt: Micros;
      /** A lease, renewed while bytes arrive or are looked at: an upload that began in time may take hours. */
      readonly leaseUntil: Micros | null;
      /** Who holds the lease: a token of that one arrival, so that whoever lost the lease can't act on it any more. */
      readonly leaseToken: string | null;
    }
  | {
      readonly state: 'stored';
      readonly sizeBytes: number;
      /** Lower-case hexadecimal. */
      readonly sha256: string;
      readonly contentType: string;
      readonly facts: Facts;
      readonly warnings: readonly Warning[];
      /** What the store calls these very bytes, such as an ETag; `null` where it has no such name. */
      readonly blobVersion: string | null;
      readonly finalizedAt: Micros;
    }
  | { readonly state: 'rejected'; readonly problem: ErrorProblem; readonly finalizedAt: Micros };

/** A row of a dataset. The id also names the bytes in the blob store, and is never used twice. */
export interface DatasetFile<U extends Upload = Upload> {
  readonly id: string;
  readonly datasetId: string;
  readonly filename: string;
  readonly kind: FileKind;
  readonly createdAt: Micros;
  readonly upload: U;
}

export type PendingFile = DatasetFile<Extract<Upload, { state: 'pending' }>>;
export type StoredFile = DatasetFile<Extract<Upload, { state: 'stored' }>>;

/** How long the sweep takes at the most to come round and end a direct upload whose server has died. */
const CLEANED_UP_WITHIN: Micros = 60 * MICROS_PER_SECOND;

/**
 * The moment from which nobody waits for this upload any more. A direct upload that has lost its server was never promised
 * to anybody, and its client knows: it counts as under way until it is swept, and never as a promise that was not kept.
 */
export function liveUntil({ via, expiresAt, leaseUntil }: PendingFile['upload']): Micros {
  const until = Math.max(expiresAt, leaseUntil ?? expiresAt);
  return via === 'direct' ? until + CLEANED_UP_WITHIN : until;
}

/** What `statusOf` needs to know of a dataset's files, kept up to date so that no file has to be read for it. */
export interface DatasetCounts {
  /** Pending uploads, alive or expired. */
  readonly pending: number;
  /** When the last of the pending uploads stops being alive; `null` without any. */
  readonly pendingUntil: Micros | null;
  readonly rejected: number;
  readonly images: number;
  readonly videos: number;
  readonly captions: number;
  /** Images and videos whose type the trainer reads. */
  readonly trainable: number;
  /** Images and videos without a caption of the same stem. */
  readonly uncaptioned: number;
  /** Files that would overwrite another one when mounted: `a.JPG` beside `a.jpg`. */
  readonly collisions: number;
  /** Of stored files. */
  readonly bytes: number;
  /** The last promise, settling or removal. */
  readonly lastActivity: Micros;
}

/** How long after the last activity a missing caption may still be on its way, in microseconds. */
export interface StatusRules {
  readonly captionGrace: Micros;
}

/** The status of a dataset at a moment, from its counts alone. The first line that fits decides. */
export function statusOf(counts: DatasetCounts, now: Micros, rules: StatusRules): Status {
  if (isEmpty(counts)) return 'DRAFT';
  if (hasLiveUpload(counts, now)) return 'UPLOADING';
  if (isBroken(counts)) return 'FAILED';
  if (!isIncomplete(counts)) return 'READY';
  return now < counts.lastActivity + rules.captionGrace ? 'UPLOADING' : 'FAILED';
}

/** When time alone may change the status next; `undefined` where only an upload or a removal can. */
export function nextChangeOf(counts: DatasetCounts, now: Micros, rules: StatusRules): Micros | undefined {
  const graceEnds = counts.lastActivity + rules.captionGrace;
  if (isEmpty(counts)) return undefined;
  if (hasLiveUpload(counts, now)) return counts.pendingUntil ?? undefined;
  return !isBroken(counts) && isIncomplete(counts) && now < graceEnds ? graceEnds : undefined;
}

function isEmpty(counts: DatasetCounts): boolean {
  return counts.pending + counts.rejected + counts.images + counts.videos + counts.captions === 0;
}

function hasLiveUpload(counts: DatasetCounts, now: Micros): boolean {
  return counts.pendingUntil !== null && counts.pendingUntil > now;
}

/** Wrong in a way that waiting can't mend: refused or never-kept uploads, files that would overwrite each other. */
function isBroken(counts: DatasetCounts): boolean {
  return counts.rejected > 0 || counts.pending > 0 || counts.collisions > 0;
}

/** Something that may simply not have been sent yet is missing: a caption, or anything to train on. */
function isIncomplete(counts: DatasetCounts): boolean {
  return counts.uncaptioned > 0 || counts.trainable === 0;
}
