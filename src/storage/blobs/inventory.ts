import type { BlobStore } from './blobs.js';

/** One thing in a store. */
export interface StoredObject {
  /** The path below the folder of the blobs, or the key in the bucket. */
  readonly name: string;
  readonly kind: ObjectKind;
  /** Of a blob, a thumbnail, or parts: the id of the file. */
  readonly fileId?: string | undefined;
  /** As `fileId`, in a store that knows it. */
  readonly datasetId?: string | undefined;
  readonly sizeBytes: number;
  /** When the store last changed it, in milliseconds since 1970. For parts: when the last one arrived. */
  readonly changedAt: number;
  /** Of parts. */
  readonly uploadId?: string | undefined;
}

/**
 * - `blob`, `thumbnail`: of a file
 * - `parts`: a multipart upload that is not complete
 * - `temporary`: a file in flight to the store
 * - `foreign`: has no name that trainyard gives
 */
export type ObjectKind = 'blob' | 'thumbnail' | 'parts' | 'temporary' | 'foreign';

/** Everything in a blob store, for a check beside a running service. It writes nothing except through `remove`. */
export interface BlobInventory extends Pick<BlobStore, 'fetch'> {
  /** Lists everything in pages. */
  objects(): AsyncGenerator<readonly StoredObject[]>;

  /** True if the object is still there, unchanged. */
  has(object: StoredObject): Promise<boolean>;

  /** Removes an object; a missing one is not an error. */
  remove(object: StoredObject): Promise<void>;

  close(): Promise<void>;
}

/** The file that the name of a blob or of its thumbnail stands for; `undefined` for other names. */
export function parseBlobName(name: string): Pick<StoredObject, 'kind' | 'fileId'> | undefined {
  const [, fileId, suffix] = /^([0-9a-f]{32})(\.thumbnail)?$/.exec(name) ?? [];
  return fileId === undefined ? undefined : { kind: suffix === undefined ? 'blob' : 'thumbnail', fileId };
}
