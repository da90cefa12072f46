import type { Facts } from './inspect/inspection.js';
import type { FileKind } from './media.js';
import type { ErrorProblem, Warning } from './problems.js';

/** Microseconds since 1970 UTC, the precision of the contract's timestamps. */
export type Micros = number;

export const MICROS_PER_SECOND = 1_000_000;

/** The contract's four statuses, `contract/API.md`. */
export type Status = 'DRAFT' | 'UPLOADING' | 'READY' | 'FAILED';

/**
 * What the files of a dataset are for. An edit model learns from pairs: an image of a `training` dataset, its caption, and
 * images of the same stem in `control` datasets. Images of a `mask` dataset say where the loss counts.
 */
export type Role = 'training' | 'control' | 'mask';

/** As what a training dataset uses a control or mask dataset. */
export type LinkSlot = 'control_1' | 'control_2' | 'control_3' | 'mask';

export interface DatasetLink {
  readonly slot: LinkSlot;
  /** It has no links itself. */
  readonly dataset: Dataset;
}

export interface Dataset {
  readonly id: string;
  readonly accountId: string;
  readonly name: string;
  readonly role: Role;
  readonly createdAt: Micros;
  readonly updatedAt: Micros;
  readonly counts: DatasetCounts;
  /** Its controls and its mask, in the order of the slots; empty for most datasets. */
  readonly links: readonly DatasetLink[];
  /** Whether training datasets link to it. */
  readonly isLinkedTo: boolean;
  /** The number of the latest revision; 0 if no file was ever stored. */
  readonly revision: number;
  /** Grows with each change to its name, its role, its links or its files, whether or not they are stored. */
  readonly version: number;
}

/** What kind of change made a revision. `import`: the files were there before the history began. */
export type ChangeKind = 'upload' | 'delete' | 'edit' | 'bulk' | 'push' | 'restore' | 'undo' | 'import';

/** Who changes the stored files of a dataset, and as part of what. */
export interface Author {
  readonly tokenId: string | null;
  /** The token's name or, without one, its first characters. */
  readonly tokenName: string | null;
  readonly how: ChangeKind;
  /** By which a client names changes that belong together; `null` for those of its token within ten minutes. */
  readonly changeId: string | null;
}

/** The facts about bytes that are in the blob store. */
interface InspectedBytes {
  readonly sizeBytes: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
  readonly contentType: string;
  readonly facts: Facts;
  readonly warnings: readonly Warning[];
  /** The store's version of these bytes, such as an ETag; `null` for a store without versions. */
  readonly blobVersion: string | null;
}

/** Entity tags, each the SHA-256 of a file in lower-case hexadecimal; `*` stands for any file. */
export type Tags = '*' | readonly string[];

/**
 * What must be true of the stored file of a name when a write replaces or removes it, so that one person's edit never
 * replaces another's unseen (RFC 9110, section 13.1). Without a condition, the last write wins.
 */
export interface WriteCondition {
  /** The file exists and has one of these tags. */
  readonly ifMatch?: Tags | undefined;
  /** No file exists, or it has none of these tags. */
  readonly ifNoneMatch?: Tags | undefined;
}

/** One attempt to upload a file: pending, received, stored or rejected. */
export type Upload =
  | {
      readonly state: 'pending';
      /**
       * `link`: a PUT to a signed link of this service. `presigned`: a PUT to a presigned URL of the object store. `direct`:
       * the body of an authenticated request, which the server is already receiving.
       */
      readonly via: 'link' | 'presigned' | 'direct';
      readonly expectedBytes: number | null;
      readonly condition?: WriteCondition | undefined;
      readonly author?: Author | undefined;
      /** The latest moment at which the transfer may begin. */
      readonly expiresAt: Micros;
      /** Renewed while the bytes are received and inspected, which may take hours; `null` without a lease. */
      readonly leaseUntil: Micros | null;
      /** Identifies the holder of the lease, so that a holder who has lost it can't change the upload. */
      readonly leaseToken: string | null;
    }
  /**
   * All bytes are in the blob store, and the inspection goes on after the client's answer. Until it ends, the facts are those of the
   * structure of a clip, or else what the name declares.
   */
  | (InspectedBytes & {
      readonly state: 'received';
      readonly receivedAt: Micros;
      readonly condition?: WriteCondition | undefined;
      readonly author?: Author | undefined;
    })
  | (InspectedBytes & {
      readonly state: 'stored';
      readonly finalizedAt: Micros;
      /** The number of the revision that added the file. The catalog sets it when it records the file. */
      readonly addedIn?: number;
      /** Found by a recheck. The bytes are kept, and the file counts as rejected until it is replaced or deleted. */
      readonly problem?: ErrorProblem;
    })
  | { readonly state: 'rejected'; readonly problem: ErrorProblem; readonly finalizedAt: Micros };

/** One row of the catalog. Its id also names the bytes in the blob store and is never reused. */
export interface DatasetFile<U extends Upload = Upload> {
  readonly id: string;
  readonly datasetId: string;
  readonly filename: string;
  readonly kind: FileKind;
  readonly createdAt: Micros;
  readonly upload: U;
}

export type PendingFile = DatasetFile<Extract<Upload, { state: 'pending' }>>;
export type ReceivedFile = DatasetFile<Extract<Upload, { state: 'received' }>>;
export type StoredFile = DatasetFile<Extract<Upload, { state: 'stored' }>>;

/** An upload that succeeded, although a check may follow. */
export type CompleteFile = ReceivedFile | StoredFile;

/** The longest time until cleanup removes a direct upload after its server has crashed. */
const CLEANUP_DELAY: Micros = 60 * MICROS_PER_SECOND;

/**
 * The moment at which a pending upload expires. A direct upload expires later than its lease: if its server crashes, its
 * client sees the connection break, so cleanup removes it before it counts as an error of the dataset.
 */
export function liveUntil({ via, expiresAt, leaseUntil }: PendingFile['upload']): Micros {
  const until = Math.max(expiresAt, leaseUntil ?? expiresAt);
  return via === 'direct' ? until + CLEANUP_DELAY : until;
}

/**
 * A presigned link expires this much earlier than its reservation. Polling finds an upload some time after it ends. The margin
 * keeps the dataset UPLOADING until polling has found one that began just before the link expired.
 */
export const DETECTION_MARGIN: Micros = 60 * MICROS_PER_SECOND;

/** A client that sends files makes a change in less time than this, or holds a lease. */
const QUIET: Micros = 30 * MICROS_PER_SECOND;

/**
 * Whether no client seems to send the pending uploads of a dataset: no bytes of them are being received, and nothing in the
 * dataset has changed for a while. Bytes on their way to a store are not seen.
 *
 * @param lastActivity when a file of the dataset was last reserved, finalized or removed
 */
export function areInterrupted(pending: readonly PendingFile[], lastActivity: Micros, now: Micros): boolean {
  const mayBeSent = ({ upload }: PendingFile) => upload.via !== 'link' || (upload.leaseUntil ?? 0) > now;
  return pending.length > 0 && !pending.some(mayBeSent) && now >= lastActivity + QUIET;
}

/** The facts about a dataset's files that `statusOf` needs. Every change updates them, so that no file has to be read. */
export interface DatasetCounts {
  /** Pending uploads, expired ones included. */
  readonly pending: number;
  /** When the last of the pending uploads expires; `null` without any. */
  readonly pendingUntil: Micros | null;
  /** Uploads that are received and not checked completely. */
  readonly received: number;
  /** Rejected uploads, and stored files with a problem. */
  readonly rejected: number;
  readonly images: number;
  readonly videos: number;
  readonly captions: number;
  /** Images and videos of types that the trainer reads; of a mask, images alone. */
  readonly trainable: number;
  /** Images and videos without a caption of the same stem; 0 for a control or mask, which needs none. */
  readonly uncaptioned: number;
  /** Files that would overwrite another one in a mounted folder: `a.JPG` beside `a.jpg`. */
  readonly collisions: number;
  /** Errors of the pairs with its controls and its mask; 0 without links. */
  readonly unpaired: number;
  /** The total size of stored files. */
  readonly bytes: number;
  /** When a file was last reserved, finalized or removed. */
  readonly lastActivity: Micros;
}

export interface StatusRules {
  /** Captions and trainable media may be missing for this long after the last activity, in microseconds. */
  readonly captionGrace: Micros;
}

/** The status of a dataset at a moment, from its counts alone. The first rule that matches decides. */
export function statusOf(counts: DatasetCounts, now: Micros, rules: StatusRules): Status {
  if (isEmpty(counts)) return 'DRAFT';
  if (counts.received > 0 || hasLiveUpload(counts, now)) return 'UPLOADING';
  if (isBroken(counts)) return 'FAILED';
  if (!isIncomplete(counts)) return 'READY';
  return now < counts.lastActivity + rules.captionGrace ? 'UPLOADING' : 'FAILED';
}

/** When time alone changes the status next, at the earliest; `undefined` if it can't. */
export function nextChangeOf(counts: DatasetCounts, now: Micros, rules: StatusRules): Micros | undefined {
  const graceEnds = counts.lastActivity + rules.captionGrace;
  if (isEmpty(counts) || counts.received > 0) return undefined;
  if (hasLiveUpload(counts, now)) return counts.pendingUntil ?? undefined;
  return !isBroken(counts) && isIncomplete(counts) && now < graceEnds ? graceEnds : undefined;
}

function isEmpty(counts: DatasetCounts): boolean {
  return counts.pending + counts.received + counts.rejected + counts.images + counts.videos + counts.captions === 0;
}

function hasLiveUpload(counts: DatasetCounts, now: Micros): boolean {
  return counts.pendingUntil !== null && counts.pendingUntil > now;
}

/** Errors that no upload in flight can resolve: rejected and expired uploads, files that would overwrite each other. */
function isBroken(counts: DatasetCounts): boolean {
  return counts.rejected > 0 || counts.pending > 0 || counts.collisions > 0;
}

/** Captions, trainable media, or their controls and masks are missing, which may still be uploaded. */
function isIncomplete(counts: DatasetCounts): boolean {
  return counts.uncaptioned > 0 || counts.trainable === 0 || counts.unpaired > 0;
}
