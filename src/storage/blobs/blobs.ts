import type { Readable } from 'node:stream';

/**
 * Where bytes are kept: immutable, under keys that are never used twice. The catalog decides what exists; a blob that it
 * doesn't name is litter, and one that it names is here, whole and durable.
 */
export interface BlobStore {
  /**
   * Takes in a body that is to get this key, so that it can be looked at first. Memory does not grow with the body. Where
   * there is no room for it right now, its bytes wait unread.
   *
   * @throws ServiceError `too_large` with the limit's message as soon as more has come, `upload_cut_short` where the body
   * breaks off, `no_space`, `unavailable`; the signal's reason. Nothing is kept then.
   */
  stage(body: Readable, options: StageOptions): Promise<StagedBlob>;

  /**
   * The bytes from `start` up to and without `end`; `undefined` where there is no such blob.
   *
   * @throws BlobChanged where `version` is given and the bytes are not those; ServiceError `unavailable`
   */
  read(
    key: string,
    options?: {
      range?: { start: number; end: number } | undefined;
      version?: string | null | undefined;
      signal?: AbortSignal | undefined;
    },
  ): Promise<Readable | undefined>;

  /**
   * Reads a blob once, from its first byte to its last, for those who must then look at it in several places; `undefined`
   * where there is none. Whoever calls it ends it with `discard`.
   *
   * @throws as `stage` and `read`
   */
  fetch(
    key: string,
    options: { limit: ByteLimit; version?: string | null | undefined; signal: AbortSignal },
  ): Promise<FetchedBlob | undefined>;

  /** Which of these blobs of one dataset there are, by their keys; costs little beside reading one. */
  find(keys: readonly string[]): Promise<Map<string, FoundBlob>>;

  /** Removes the blobs that exist among these. */
  delete(keys: readonly string[]): Promise<void>;

  /** Rejects where nothing could be stored right now. */
  ping(): Promise<void>;

  close(): Promise<void>;

  /** The file of this machine in which a blob is kept, where the store keeps them in files. */
  readonly pathOf?: (key: string) => string;

  /** Only where clients can bring bytes to the store themselves. */
  readonly presigning?: Presigning;
}

/** More bytes than that are refused with the message. */
export interface ByteLimit {
  readonly bytes: number;
  readonly message: string;
}

export interface StageOptions {
  readonly key: string;
  readonly limit: ByteLimit;
  /** What is known beforehand: the body has no more bytes than that, by default those of the limit. */
  readonly atMostBytes?: number | undefined;
  readonly signal: AbortSignal;
}

/** Where the bytes of a whole blob can be looked at: in a file of this machine or, where it is too large for that, afar. */
export type BlobContent =
  | { readonly path: string }
  | {
      /** The bytes from `start` up to and without `end`. */
      readonly readAt: (start: number, end: number, signal: AbortSignal) => Promise<Buffer>;
    };

/** A blob as its store knows it without a look at its bytes. */
export type FoundBlob = Pick<FetchedBlob, 'sizeBytes' | 'version'>;

/** Bytes that have been read in full. */
export interface FetchedBlob {
  readonly sizeBytes: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
  /** Until `discard` or `commit`. */
  readonly content: BlobContent;
  /** Tells these bytes from any that may later be put in their place; `null` where nobody else can put any there. */
  readonly version: string | null;
  discard(): Promise<void>;
}

/** Bytes that have arrived in full. Either `commit` or `discard` ends it. */
export interface StagedBlob extends Omit<FetchedBlob, 'version'> {
  /**
   * Makes the bytes durable under their key.
   *
   * @throws ServiceError `upload_finalized` where the key is taken: the bytes are discarded. After any other error they may
   * or may not be there.
   */
  commit(): Promise<{ version: string | null }>;
}

/** Bytes that clients bring to the store without us. */
export interface Presigning {
  /** Of every link, `https://s3.example`. */
  readonly origin: string;
  /** The largest object that one PUT makes. */
  readonly maxBytes: number;

  /**
   * A link that takes one file of exactly this size. Until it expires it may be used again, so the version of what was
   * looked at must be asked for in every later `read`.
   *
   * @param options.signedAt when its time begins, by the store's clock; by default now, by that of this machine
   * @returns the URL, the headers without which it is refused, and how long it really holds: never longer than the store
   * and the credentials allow.
   */
  presign(
    key: string,
    options: { sizeBytes: number; expiresInSeconds: number; signedAt?: Date },
  ): Promise<{ url: string; headers: Record<string, string>; expiresInSeconds: number }>;

  /**
   * What lies under the keys of a dataset, in the order of the keys, thumbnails included; one request.
   *
   * @param options.after a key, and then only what lies behind it; `next` of the page before goes on there
   */
  listObjects(
    datasetId: string,
    options?: { after?: string | undefined },
  ): Promise<{ objects: readonly PresignedObject[]; next: string | undefined }>;
}

export interface PresignedObject {
  readonly key: string;
  readonly sizeBytes: number;
  readonly version: string;
  /** By the store's clock. */
  readonly lastModified: Date;
}

/** Other bytes lie under a key than those that were looked at: somebody put them there behind the service's back. */
export class BlobChanged extends Error {
  constructor(key: string) {
    super(`The bytes under ${key} are not those that were looked at.`);
    this.name = 'BlobChanged';
  }
}

/** Where the bytes of a file are kept: those of a dataset lie together, so that they can be listed. */
export function blobKeyOf(file: { readonly id: string; readonly datasetId: string }): string {
  return `${file.datasetId}/${file.id}`;
}
