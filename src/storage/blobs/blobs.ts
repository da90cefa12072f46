import type { Readable } from 'node:stream';
import { ServiceError } from '../../dataset/errors.js';

/** What a blob store has, for reads beside a running service. It writes nothing except through `remove`. */
export interface BlobReader {
  /**
   * Opens a blob for reading; `undefined` if there is none.
   *
   * @throws BlobChanged if the blob does not have the `version`, BlobDamaged if it is no file or ends before the range does,
   * both perhaps from the stream; ServiceError `unavailable`
   */
  read(key: string, options?: ReadOptions): Promise<Readable | undefined>;

  /** Finds which of these blobs of one dataset exist, by key; costs much less than reading them. */
  find(keys: readonly string[]): Promise<Map<string, FoundBlob>>;

  /** Lists everything in the store, in pages. */
  objects(): AsyncGenerator<readonly StoredObject[]>;

  /** True if the object is still there, unchanged. */
  has(object: StoredObject): Promise<boolean>;

  /** Removes an object; a missing one is not an error. */
  remove(object: StoredObject): Promise<void>;

  close(): Promise<void>;
}

/**
 * Stores immutable blobs under keys that are never reused. Each blob that the catalog references is complete and durable;
 * a blob that it does not reference is an orphan.
 */
export interface BlobStore extends BlobReader {
  /**
   * Receives a body, which can then be inspected before `commit` stores it under this key. Memory does not grow with the
   * body. The body is not read until there is space for it.
   *
   * @throws ServiceError `too_large` with the limit's message once the body exceeds it, `upload_cut_short` if the body ends
   * early, `no_space` also if the limit is more than `maxFileBytes`, `unavailable`; the signal's reason. Nothing is stored then.
   */
  stage(body: Readable, options: StageOptions): Promise<StagedBlob>;

  /**
   * Reads a whole blob once, so that the caller can inspect it as a local file; `undefined` if there is none. The caller must
   * call `discard`.
   *
   * @throws as `stage` and `read`
   */
  fetch(key: string, options: FetchOptions): Promise<MeasuredBlob | undefined>;

  /** Deletes blobs; a missing one is not an error. @throws BlobsNotDeleted if some of them can't be, once the others are */
  delete(keys: readonly string[]): Promise<void>;

  /** Rejects if the store can't store blobs at the moment. */
  ping(): Promise<void>;

  /**
   * Rejects all calls, those in flight too, with ServiceError `shutting_down`; not reads that have begun. Only a store on another
   * machine has it, since its calls may take as long as their deadline.
   */
  abort?(): void;

  /** The path of a blob, if the store keeps blobs as local files. */
  readonly pathOf?: (key: string) => string;

  /** How many streams of `read` may be open for as long as their readers take. Absent if there is no limit. */
  readonly maxSlowReads?: number;

  /** Present if clients can upload directly to the store. */
  readonly presigning?: Presigning;

  /** What clients have uploaded directly to the store. Present if they can, or could before links led to the service. */
  readonly staging?: Staging;

  /** The largest blob; absent if the disk alone limits it. */
  readonly maxFileBytes?: number;
}

/** A body of more bytes is rejected with the message. */
export interface ByteLimit {
  readonly bytes: number;
  readonly message: string;
}

interface ReceiveOptions {
  readonly limit: ByteLimit;
  /** The account that the bytes are for, which may use a part of the space for bytes in flight; absent for work of the operator. */
  readonly accountId?: string | undefined;
  readonly signal: AbortSignal;
}

export interface StageOptions extends ReceiveOptions {
  readonly key: string;
  /** The largest size that the body can have, by default that of the limit. */
  readonly atMostBytes?: number | undefined;
}

export interface FetchOptions extends ReceiveOptions {
  readonly version?: string | null | undefined;
}

export interface ReadOptions {
  /** The bytes from `start` to before `end`; by default all. */
  readonly range?: { start: number; end: number } | undefined;
  readonly version?: string | null | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** The local file that has all bytes of a blob. */
export interface BlobContent {
  readonly path: string;
}

/** The facts about a blob that a store knows without reading it. */
export interface FoundBlob {
  readonly sizeBytes: number;
  /** The store's identifier of these bytes, such as an ETag; `null` for a store without one. */
  readonly version: string | null;
}

/** A blob whose bytes have been read completely. */
export interface MeasuredBlob {
  readonly sizeBytes: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
  /** Valid until `discard` or `commit`. */
  readonly content: BlobContent;
  discard(): Promise<void>;
}

/** A body that has been received completely. The caller must call `commit` or `discard`. */
export interface StagedBlob extends MeasuredBlob {
  /**
   * Stores the bytes durably under their key.
   *
   * @throws ServiceError `upload_finalized` if the key already exists: the bytes are discarded. After any other error the
   * bytes may or may not be stored.
   */
  commit(): Promise<{ version: string | null }>;
}

/** Makes links by which clients upload directly to the store. */
export interface Presigning {
  /** The origin of all links, such as `https://s3.example`. */
  readonly origin: string;

  /**
   * Makes a link that accepts one file of exactly this size, as often as its holder likes until it expires. It leads to a
   * staged object, never to the blob.
   *
   * @param key of the blob
   * @param options.signedAt when its lifetime begins, by the store's clock; by default the current time of this machine
   * @returns the URL, the headers that the client must send, and the lifetime, which the store and the credentials may limit
   */
  presign(
    key: string,
    options: { sizeBytes: number; expiresInSeconds: number; signedAt?: Date },
  ): Promise<{ url: string; headers: Record<string, string>; expiresInSeconds: number }>;
}

/**
 * Objects that clients have written through presigned links, each in a place that only its link names. The bytes that were
 * inspected are copied to the key of the blob, so that later uses of the link change nothing that is stored.
 */
export interface Staging {
  /** Lists the objects for blobs of a dataset, or all, in pages. */
  list(datasetId?: string): AsyncIterable<readonly StagedObject[]>;

  /**
   * Reads the object for the blob with this key once, so that the caller can inspect it; `undefined` if there is none. `commit`
   * copies it to the key, over an earlier copy, and throws BlobChanged if it is no longer the object that was read. Neither
   * `commit` nor `discard` deletes the object.
   *
   * @throws as `BlobStore.fetch`
   */
  receive(key: string, options: FetchOptions): Promise<StagedBlob | undefined>;

  /** Deletes the objects for the blobs with these keys; a missing one is not an error. */
  delete(keys: readonly string[]): Promise<void>;
}

export interface StagedObject {
  /** Of the blob that it is for. */
  readonly key: string;
  /** In milliseconds since 1970, by the store's clock. */
  readonly changedAt: number;
}

/** The blob is not the version that was inspected: it was replaced. */
export class BlobChanged extends Error {
  constructor(
    key: string,
    message = `The object ${key} was replaced after it had been inspected.`,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'BlobChanged';
  }
}

/** The store does not return the bytes that it says it has. */
export class BlobDamaged extends BlobChanged {
  /** Completes "the store …". */
  readonly reason: string;

  constructor(key: string, reason: string, options?: ErrorOptions) {
    super(key, `Of the object ${key}, the store ${reason}.`, options);
    this.name = 'BlobDamaged';
    this.reason = reason;
  }
}

/** Blobs that the store keeps although it was told to delete them, such as one with a retention lock. */
export class BlobsNotDeleted extends ServiceError {
  readonly keys: readonly string[];

  constructor(kept: readonly { readonly key: string; readonly reason: string }[]) {
    const [first] = kept;
    const cause = new Error(`${kept.length} can't be deleted, such as ${first?.key}: ${first?.reason}`);
    super('unavailable', 'The file store could not delete a file.', { cause });
    this.keys = kept.map(({ key }) => key);
  }
}

/** The key of a file's blob. It begins with the dataset's id, so that a store can list the blobs of a dataset. */
export function blobKeyOf(file: { readonly id: string; readonly datasetId: string }): string {
  return `${file.datasetId}/${file.id}`;
}

/** One thing in a store. */
export interface StoredObject {
  /** The path below the folder of the blobs, or the key in the bucket. */
  readonly name: string;
  readonly kind: ObjectKind;
  /** Of a blob or a thumbnail: the id of the file. */
  readonly fileId?: string | undefined;
  /** As `fileId`, in a store that knows it. */
  readonly datasetId?: string | undefined;
  readonly sizeBytes: number;
  /** When the store last changed it, in milliseconds since 1970. */
  readonly changedAt: number;
}

/**
 * - `blob`, `thumbnail`: of a file
 * - `temporary`: a file in flight to the store
 * - `foreign`: has no name that trainyard gives
 */
export type ObjectKind = 'blob' | 'thumbnail' | 'temporary' | 'foreign';

/** The file that the name of a blob or of its thumbnail stands for; `undefined` for other names. */
export function parseBlobName(name: string): Pick<StoredObject, 'kind' | 'fileId'> | undefined {
  const [, fileId, suffix] = /^([0-9a-f]{32})(\.thumbnail)?$/.exec(name) ?? [];
  return fileId === undefined ? undefined : { kind: suffix === undefined ? 'blob' : 'thumbnail', fileId };
}
