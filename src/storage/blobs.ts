import type { Readable } from 'node:stream';

/**
 * Where bytes are kept: immutable, under keys that are never used twice. The catalog decides what exists; a blob that it
 * doesn't name is litter, and one that it names is here, whole and durable.
 */
export interface BlobStore {
  /**
   * Takes in a body without giving it a key yet, so that it can be looked at first. Memory does not grow with the body.
   *
   * @throws ServiceError `too_large` with the limit's message as soon as more has come, `upload_cut_short` where the body
   * breaks off, `no_space`; the signal's reason. Nothing is kept then.
   */
  stage(
    body: Readable,
    options: { limit: { bytes: number; message: string }; signal: AbortSignal },
  ): Promise<StagedBlob>;

  /** The bytes from `start` up to and without `end`; `undefined` where there is no such blob. */
  read(key: string, range?: { start: number; end: number }): Promise<Readable | undefined>;

  /** Removes the blobs that exist among these. */
  delete(keys: readonly string[]): Promise<void>;

  /** A local file that holds the blob, for those who must read it at several places. */
  localPath(key: string): string;

  /** Rejects where nothing could be stored right now. */
  ping(): Promise<void>;

  close(): Promise<void>;
}

/** Bytes that have arrived in full. Either `commit` or `discard` ends it. */
export interface StagedBlob {
  readonly sizeBytes: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
  /** A local file that holds the bytes until then. */
  readonly path: string;

  /**
   * Makes the bytes durable under their key.
   *
   * @throws ServiceError `upload_settled` where the key is taken: the bytes are discarded.
   */
  commit(key: string): Promise<void>;
  discard(): Promise<void>;
}

/** The key of a file's bytes. */
export function blobKeyOf(file: { id: string; datasetId: string }): string {
  return `${file.datasetId}/${file.id}`;
}
