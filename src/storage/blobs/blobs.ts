import { createHash, randomUUID } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { hasErrno, ServiceError } from '../../dataset/errors.js';

/** Reads a blob store that a service may be using. */
export interface BlobReader {
  /**
   * Opens a blob; `undefined` if there is none.
   *
   * @throws BlobChanged for another `version`, BlobDamaged if it is no file or too short, both perhaps from the stream;
   * ServiceError `unavailable`
   */
  read(key: string, options?: ReadOptions): Promise<Readable | undefined>;

  /** Finds which of these blobs of one dataset exist, by key, without reading them. */
  find(keys: readonly string[]): Promise<Map<string, FoundBlob>>;

  objects(): AsyncGenerator<readonly StoredObject[]>;

  has(object: StoredObject): Promise<boolean>;

  remove(object: StoredObject): Promise<void>;

  close(): Promise<void>;
}

/** Stores immutable blobs under keys that are never reused. Each blob that the catalog references is complete and durable. */
export interface BlobStore extends BlobReader {
  /**
   * Receives a body, which can be inspected before `commit` stores it. Memory does not grow with the body.
   *
   * @throws ServiceError `too_large`, `upload_cut_short`, `no_space`, `unavailable`; the signal's reason. Nothing is stored then.
   */
  stage(body: Readable, options: StageOptions): Promise<StagedBlob>;

  /** Reads a whole blob as a local file; `undefined` if there is none. The caller calls `discard`. @throws as `stage` and `read` */
  fetch(key: string, options: FetchOptions): Promise<MeasuredBlob | undefined>;

  /** Deletes blobs; a missing one is not an error. @throws BlobsNotDeleted once the others are deleted */
  delete(keys: readonly string[]): Promise<void>;

  /** Rejects if the store can't store blobs now. */
  ping(): Promise<void>;

  /** A remote store rejects all calls, also in flight, with ServiceError `shutting_down`; not streams that are open. */
  abort?(): void;

  /** The path of a blob, if the store keeps blobs as local files. */
  readonly pathOf?: (key: string) => string;

  /** The most streams of `read` that clients may hold open. */
  readonly maxSlowReads?: number;

  /** Present if clients can upload directly to the store. */
  readonly presigning?: Presigning;

  /** The files that clients have uploaded directly, also before links led to the service. */
  readonly staging?: Staging;

  /** The size of the largest blob; absent if only the disk limits it. */
  readonly maxFileBytes?: number;
}

/** A larger body is rejected with the message. */
export interface ByteLimit {
  readonly bytes: number;
  readonly message: string;
}

interface ReceiveOptions {
  readonly limit: ByteLimit;
  /** The account whose share of the space the bytes take; absent for work of the operator. */
  readonly accountId?: string | undefined;
  readonly signal: AbortSignal;
}

export interface StageOptions extends ReceiveOptions {
  readonly key: string;
  /** The largest size that the body can have; the limit by default. */
  readonly atMostBytes?: number | undefined;
}

export interface FetchOptions extends ReceiveOptions {
  readonly version?: string | null | undefined;
}

export interface ReadOptions {
  /** From `start` to before `end`; by default all bytes. */
  readonly range?: { start: number; end: number } | undefined;
  readonly version?: string | null | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface FoundBlob {
  readonly sizeBytes: number;
  /** Identifies the bytes, such as an ETag; `null` for a store without one. */
  readonly version: string | null;
}

/** A blob that was read completely. */
export interface MeasuredBlob {
  readonly sizeBytes: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
  /** Valid until `discard` or `commit`. */
  readonly path: string;
  discard(): Promise<void>;
}

/** A body that was received completely. The caller calls `commit` or `discard`. */
export interface StagedBlob extends MeasuredBlob {
  /** Makes the bytes durable under their key. @throws ServiceError `upload_finalized` if the key exists; the bytes are gone then */
  commit(): Promise<{ version: string | null }>;
}

export interface Presigning {
  readonly origin: string;

  /**
   * Makes a link that accepts files of exactly this size until it expires. It leads to a staged object, never to the blob.
   *
   * @param options.signedAt by the store's clock; by default the time of this machine
   * @returns the URL, the headers that the client must send, and the lifetime, which the store may shorten
   */
  presign(
    key: string,
    options: { sizeBytes: number; expiresInSeconds: number; signedAt?: Date },
  ): Promise<{ url: string; headers: Record<string, string>; expiresInSeconds: number }>;
}

/** Objects written through presigned links. The inspected bytes are copied to the blob, which later uses of a link can't change. */
export interface Staging {
  /** The objects of a dataset, or all, in pages. */
  list(datasetId?: string): AsyncIterable<readonly StagedObject[]>;

  /**
   * Reads an object once; `undefined` if there is none. `commit` copies it to the key, over an earlier copy, and throws
   * BlobChanged if it was replaced. Neither `commit` nor `discard` deletes the object.
   *
   * @throws as `BlobStore.fetch`
   */
  receive(key: string, options: FetchOptions): Promise<StagedBlob | undefined>;

  /** Deletes objects; a missing one is not an error. */
  delete(keys: readonly string[]): Promise<void>;
}

export interface StagedObject {
  /** The key of its blob. */
  readonly key: string;
  /** In milliseconds since 1970, by the store's clock. */
  readonly changedAt: number;
}

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

/** The store keeps blobs that it was told to delete, for example because of a retention lock. */
export class BlobsNotDeleted extends ServiceError {
  readonly keys: readonly string[];

  constructor(kept: readonly { readonly key: string; readonly reason: string }[]) {
    const [first] = kept;
    const cause = new Error(`${kept.length} can't be deleted, such as ${first?.key}: ${first?.reason}`);
    super('unavailable', 'The file store could not delete a file.', { cause });
    this.keys = kept.map(({ key }) => key);
  }
}

/** The key of a blob. It begins with the dataset's id, so that a store can list the blobs of a dataset. */
export function blobKeyOf(file: { readonly id: string; readonly datasetId: string }): string {
  return `${file.datasetId}/${file.id}`;
}

export interface StoredObject {
  /** The path below the folder of the blobs, or the key in the bucket. */
  readonly name: string;
  readonly kind: ObjectKind;
  /** The file of a blob or a thumbnail. */
  readonly fileId?: string | undefined;
  /** Present if the store knows it. */
  readonly datasetId?: string | undefined;
  readonly sizeBytes: number;
  /** By the store's clock, in milliseconds since 1970. */
  readonly changedAt: number;
}

/** `temporary` is in flight to the store; `foreign` has no name that trainyard gives. */
export type ObjectKind = 'blob' | 'thumbnail' | 'temporary' | 'foreign';

/** Makes an id that no client can guess. It begins with the name of the folder in which a disk keeps the blob. */
export function newId(): string {
  return randomUUID().replaceAll('-', '');
}

/** The file of a blob or a thumbnail with this name; `undefined` for other names. */
export function parseBlobName(name: string): Pick<StoredObject, 'kind' | 'fileId'> | undefined {
  const [, fileId, suffix] = /^([0-9a-f]{32})(\.thumbnail)?$/.exec(name) ?? [];
  return fileId === undefined ? undefined : { kind: suffix === undefined ? 'blob' : 'thumbnail', fileId };
}

/** No further chunk is read while more bytes than this wait for a write. */
const WRITE_BYTES = 512 * 1024;

/** Counts and hashes the bytes of a stream. */
export class Meter {
  bytes = 0;
  readonly #hash = createHash('sha256');
  readonly #limit: ByteLimit;

  constructor(limit: ByteLimit) {
    this.#limit = limit;
  }

  /** @throws ServiceError `too_large` once the bytes exceed the limit */
  add(chunk: Buffer): void {
    this.bytes += chunk.length;
    if (this.bytes > this.#limit.bytes) throw new ServiceError('too_large', this.#limit.message);
    this.#hash.update(chunk);
  }

  /** The size and the SHA-256 in lower-case hexadecimal. Call it once, at the end. */
  facts(): { sizeBytes: number; sha256: string } {
    return { sizeBytes: this.bytes, sha256: this.#hash.digest('hex') };
  }
}

interface IngestOptions {
  readonly meter: Meter;
  readonly signal: AbortSignal;
}

/** Calls `use` with each chunk of a stream, which is destroyed when this rejects. @throws the signal's reason; ServiceError `too_large` */
async function forEachChunk(
  body: Readable,
  { meter, signal }: IngestOptions,
  use: (chunk: Buffer) => Promise<void> | undefined,
): Promise<void> {
  const onAbort = () => body.destroy(signal.reason);
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  try {
    for await (const chunk of body) {
      meter.add(chunk);
      await use(chunk);
    }
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** Reads a whole blob and keeps none of it; `undefined` if there is none. @throws as `BlobStore.fetch` */
export async function measureBlob(
  blobs: Pick<BlobReader, 'read'>,
  key: string,
  options: FetchOptions,
): Promise<Omit<MeasuredBlob, 'path'> | undefined> {
  const body = await blobs.read(key, options);
  if (body === undefined) return undefined;
  const meter = new Meter(options.limit);
  await forEachChunk(body, { meter, signal: options.signal }, () => undefined);
  return { ...meter.facts(), discard: async () => {} };
}

/** Writes a stream to a file, and all that arrives during a write together. The caller closes the file. @throws as `forEachChunk` */
export async function writeStream(
  body: Readable,
  handle: FileHandle,
  { onProgress, ...options }: IngestOptions & { onProgress?: (bytes: number) => void },
): Promise<void> {
  let waiting: Buffer[] = [];
  let waitingBytes = 0;
  let writing: Promise<void> | undefined;
  const writeWaiting = async () => {
    while (waiting.length > 0) {
      const buffers = waiting;
      waiting = [];
      waitingBytes = 0;
      await writeAll(handle, buffers);
    }
    writing = undefined;
  };
  try {
    await forEachChunk(body, options, (chunk) => {
      onProgress?.(options.meter.bytes);
      waiting.push(chunk);
      waitingBytes += chunk.length;
      if (writing === undefined) {
        writing = writeWaiting();
        writing.catch(() => {});
      }
      return waitingBytes > WRITE_BYTES ? writing : undefined;
    });
    await writing;
  } finally {
    // The file must not be closed during a write.
    await writing?.catch(() => {});
  }
}

/** Writes all bytes. On a full disk the first write is short; only the next one fails with ENOSPC. */
async function writeAll(handle: FileHandle, buffers: readonly Buffer[]): Promise<void> {
  let { bytesWritten } = await handle.writev(buffers);
  for (const buffer of buffers) {
    const remaining = buffer.subarray(Math.min(bytesWritten, buffer.length));
    bytesWritten -= buffer.length - remaining.length;
    if (remaining.length > 0) await handle.writeFile(remaining);
  }
}

export function alreadyExists(): ServiceError {
  return new ServiceError('upload_finalized', 'This upload has already been completed by another request.');
}

/** The answer for an error of the disk or of a request body; other errors are returned unchanged. */
export function ingestError(error: unknown): unknown {
  if (hasErrno(error, 'ENOSPC', 'EDQUOT')) {
    return new ServiceError('no_space', 'The server has no space left to store this file. Free some and try again.', {
      cause: error,
    });
  }
  if (hasErrno(error, 'ECONNRESET', 'ERR_STREAM_PREMATURE_CLOSE')) {
    return new ServiceError('upload_cut_short', 'The connection ended before the whole file had arrived. Try again.', {
      cause: error,
    });
  }
  return error;
}
