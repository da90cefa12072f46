import type { Group } from './groups.js';
import type { Facts } from './inspect/inspection.js';
import type { FileKind } from './media.js';
import type { ErrorProblem, Warning } from './problems.js';

/** Microseconds since 1970 UTC, the precision of the contract's timestamps. */
export type Micros = number;

export const MICROS_PER_SECOND = 1_000_000;

/** The contract's four statuses, `contract/API.md`. */
export type Status = 'DRAFT' | 'UPLOADING' | 'READY' | 'FAILED';

/** An edit model learns from `training` images and `control` images of the same stem; a `mask` says where the loss counts. */
export type Role = 'training' | 'control' | 'mask';

/** The use of a control or mask dataset in a training dataset. */
export type LinkSlot = 'control_1' | 'control_2' | 'control_3' | 'mask';

export interface DatasetLink {
  readonly slot: LinkSlot;
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
  /** Controls and mask, in the order of the slots. */
  readonly links: readonly DatasetLink[];
  readonly isLinkedTo: boolean;
  /** By name. One without files stays while the history may bring them back. */
  readonly groups: readonly Group[];
  /** 0 if no file was ever stored. */
  readonly revision: number;
  /** Grows with each change to its name, role, links or files, also of pending ones. */
  readonly version: number;
}

/** `import`: the files were there before the history began. `caption`: a run of captions by a model. */
export type ChangeKind = 'upload' | 'delete' | 'edit' | 'bulk' | 'push' | 'restore' | 'undo' | 'import' | 'caption';

/** Who wrote a caption. Without it, the caption was uploaded or pushed. */
export type CaptionOrigin =
  | { readonly by: 'person' }
  /** Stored as the model wrote it. */
  | { readonly by: 'model'; readonly model: string; readonly preset?: string };

/** Who changes stored files, and as part of what. */
export interface Author {
  readonly tokenId: string | null;
  /** The token's name, or else its first characters. */
  readonly tokenName: string | null;
  readonly how: ChangeKind;
  /** Given by the client to changes that belong together; `null` groups a token's changes within ten minutes. */
  readonly changeId: string | null;
}

interface InspectedBytes {
  readonly sizeBytes: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
  readonly contentType: string;
  readonly facts: Facts;
  readonly warnings: readonly Warning[];
  /** Such as an ETag; `null` for a store without versions. */
  readonly blobVersion: string | null;
}

/** Entity tags, which are SHA-256 of files; `*` is any file. */
export type Tags = '*' | readonly string[];

/** Keeps a write from replacing another person's unseen (RFC 9110, section 13.1). Without it, the last write wins. */
export interface WriteCondition {
  /** The file exists and has one of these tags. */
  readonly ifMatch?: Tags | undefined;
  /** No file exists, or it has none of these tags. */
  readonly ifNoneMatch?: Tags | undefined;
}

export type Upload =
  | {
      readonly state: 'pending';
      /** A PUT to a signed link of this service, a PUT to a presigned URL of the store, or a request that the server receives. */
      readonly via: 'link' | 'presigned' | 'direct';
      readonly expectedBytes: number | null;
      readonly condition?: WriteCondition | undefined;
      readonly author?: Author | undefined;
      /** When the transfer must have begun. */
      readonly expiresAt: Micros;
      /** Renewed while bytes are received and inspected; `null` without a lease. */
      readonly leaseUntil: Micros | null;
      /** A holder who has lost the lease can't change the upload. */
      readonly leaseToken: string | null;
    }
  /** The bytes are in the store, and an inspection goes on. Until it ends, the facts come from a clip's structure or the name. */
  | (InspectedBytes & {
      readonly state: 'received';
      readonly receivedAt: Micros;
      readonly condition?: WriteCondition | undefined;
      readonly author?: Author | undefined;
    })
  | (InspectedBytes & {
      readonly state: 'stored';
      readonly finalizedAt: Micros;
      /** A revision number, set by the catalog. */
      readonly addedIn?: number;
      /** A placeholder for an image (https://evanw.github.io/thumbhash), Base64. */
      readonly thumbhash?: string;
      readonly origin?: CaptionOrigin;
      /** Found by a recheck. The file stays, and counts as rejected. */
      readonly problem?: ErrorProblem;
    })
  | { readonly state: 'rejected'; readonly problem: ErrorProblem; readonly finalizedAt: Micros };

/** One row of the catalog. Its id also names its bytes in the store, and is never reused. */
export interface DatasetFile<U extends Upload = Upload> {
  readonly id: string;
  readonly datasetId: string;
  readonly filename: string;
  readonly kind: FileKind;
  readonly createdAt: Micros;
  /** The name of its group, the same for all files of its stem. */
  readonly group?: string;
  readonly upload: U;
}

export type PendingFile = DatasetFile<Extract<Upload, { state: 'pending' }>>;
export type ReceivedFile = DatasetFile<Extract<Upload, { state: 'received' }>>;
export type StoredFile = DatasetFile<Extract<Upload, { state: 'stored' }>>;

/** Uploaded, although a check may follow. */
export type CompleteFile = ReceivedFile | StoredFile;

export function isStored(file: DatasetFile): file is StoredFile {
  return file.upload.state === 'stored';
}

/** The longest time until a crashed server's direct upload is removed. */
const CLEANUP_DELAY: Micros = 60 * MICROS_PER_SECOND;

/** A direct upload expires after its lease: cleanup removes a crashed server's before it counts as an error. */
export function liveUntil({ via, expiresAt, leaseUntil }: PendingFile['upload']): Micros {
  const until = Math.max(expiresAt, leaseUntil ?? expiresAt);
  return via === 'direct' ? until + CLEANUP_DELAY : until;
}

/** How much longer a reservation lasts than its presigned link: an upload that began just before takes so long, at 500 kB/s. */
export const presignedMarginOf = (bytes: number): Micros => Math.ceil(60 + bytes / 500_000) * MICROS_PER_SECOND;

/** A client that sends files makes a change in less time, or holds a lease. */
const QUIET: Micros = 30 * MICROS_PER_SECOND;

/** Whether no client seems to send the pending uploads; bytes on their way to a store are not seen. */
export function areInterrupted(pending: readonly PendingFile[], lastActivity: Micros, now: Micros): boolean {
  const mayBeSent = ({ upload }: PendingFile) => upload.via !== 'link' || (upload.leaseUntil ?? 0) > now;
  return pending.length > 0 && !pending.some(mayBeSent) && now >= lastActivity + QUIET;
}

/** What `statusOf` needs. Kept up to date by every change, except `unpaired`, which other datasets decide too. */
export interface DatasetCounts {
  /** Includes expired uploads. */
  readonly pending: number;
  /** When the last pending upload expires; `null` without any. */
  readonly pendingUntil: Micros | null;
  /** Not checked completely. */
  readonly received: number;
  readonly rejected: number;
  readonly images: number;
  readonly videos: number;
  /** Structured ones (`.json`) included. */
  readonly captions: number;
  /** Images and videos that the trainer reads; for a mask, only images. */
  readonly trainable: number;
  /** Images and videos without a `.txt` caption, which trainers read by default; 0 for a control or mask. */
  readonly uncaptioned: number;
  /** Files that would overwrite another when mounted: `a.JPG` beside `a.jpg`. */
  readonly collisions: number;
  /** Errors of its pairs with controls and mask. */
  readonly unpaired: number;
  readonly bytes: number;
  /** When a file was last reserved, finalized or removed. */
  readonly lastActivity: Micros;
}

export interface StatusRules {
  /** How long captions and trainable media may be missing after the last activity. */
  readonly captionGrace: Micros;
}

/** The first rule that matches decides. */
export function statusOf(counts: DatasetCounts, now: Micros, rules: StatusRules): Status {
  if (uploadsIn(counts) === 0) return 'DRAFT';
  if (counts.received > 0 || hasLiveUpload(counts, now)) return 'UPLOADING';
  if (isBroken(counts)) return 'FAILED';
  if (!isIncomplete(counts)) return 'READY';
  return now < counts.lastActivity + rules.captionGrace ? 'UPLOADING' : 'FAILED';
}

/** The earliest time at which the status may change by itself; `undefined` if it can't. */
export function nextChangeOf(counts: DatasetCounts, now: Micros, rules: StatusRules): Micros | undefined {
  const graceEnds = counts.lastActivity + rules.captionGrace;
  if (uploadsIn(counts) === 0 || counts.received > 0) return undefined;
  if (hasLiveUpload(counts, now)) return counts.pendingUntil ?? undefined;
  return !isBroken(counts) && isIncomplete(counts) && now < graceEnds ? graceEnds : undefined;
}

type UploadCounts = Pick<DatasetCounts, 'pending' | 'received' | 'rejected' | 'images' | 'videos' | 'captions'>;

/** Each name has at least one upload, and more while it is being replaced. */
export function uploadsIn({ pending, received, rejected, images, videos, captions }: UploadCounts): number {
  return pending + received + rejected + images + videos + captions;
}

function hasLiveUpload(counts: DatasetCounts, now: Micros): boolean {
  return counts.pendingUntil !== null && counts.pendingUntil > now;
}

/** Errors that no upload in flight can resolve. */
function isBroken(counts: DatasetCounts): boolean {
  return counts.rejected > 0 || counts.pending > 0 || counts.collisions > 0;
}

/** What is missing may still be uploaded. */
function isIncomplete(counts: DatasetCounts): boolean {
  return counts.uncaptioned > 0 || counts.trainable === 0 || counts.unpaired > 0;
}
