import { digestOf } from '../../dataset/digest.js';
import { ServiceError } from '../../dataset/errors.js';
import { mountedNameOf } from '../../dataset/media.js';
import { parseDatasetName, parseFilename } from '../../dataset/names.js';

/** A file to be mounted. */
export interface MountFile {
  readonly filename: string;
  readonly sizeBytes: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
}

/** The state of a dataset at one moment. */
export interface MountManifest {
  readonly datasetId: string;
  readonly name: string;
  /** The number of the revision that has these files; `undefined` if there is none, or the service has no history. */
  readonly revision: number | undefined;
  readonly status: string;
  /** `undefined` unless the dataset is READY. */
  readonly digest: string | undefined;
  readonly files: readonly MountFile[];
}

/** Bytes of a file from `from` on, which may be an earlier byte than the one that was requested. */
export interface RangeResponse {
  readonly from: number;
  readonly body: AsyncIterable<Uint8Array>;
}

interface ManifestSource {
  /** Written into the mounted folder: the service's URL, or the data folder's path. */
  readonly name: string;
  readonly manifest: (signal: AbortSignal) => Promise<MountManifest>;
}

/** A dataset whose bytes are files of this machine. */
export interface DataFolderSource extends ManifestSource {
  readonly kind: 'data-folder';
  /**
   * Copies files of the last manifest into a folder.
   *
   * @throws MountError `damaged`, `cannot_link`; DatasetChanged; the signal's reason
   */
  readonly copyInto: (folder: string, files: readonly MountFile[], options: CopyOptions) => Promise<void>;
}

export interface CopyOptions {
  /** Hard links instead of copies of images and videos; captions are always copied. */
  readonly isHardLinked: boolean;
  /** Threads that copy and hash; at most one per core is used, and at most four. */
  readonly threads: number;
  /** Whether the calling thread is one of `threads`. It needs no start, but a process with other work would be blocked. */
  readonly copiesOnMainThread: boolean;
  readonly signal: AbortSignal;
  /** `[files, bytes]` done so far; shared memory. */
  readonly done: BigInt64Array;
  /** Called for each copied file with its modification time in milliseconds since 1970. */
  readonly onFile: (file: MountFile, mtimeMs: number) => void;
}

/** A dataset whose bytes come over HTTP: from a service, or from the bucket of this service. */
export interface HttpSource extends ManifestSource {
  readonly kind: 'http';
  /** @throws DatasetChanged if the source no longer has these bytes under that name */
  readonly read: (file: MountFile, from: number, signal: AbortSignal) => Promise<RangeResponse>;
  /**
   * A tar archive of the files, in that order; `undefined` if the source makes none. The receiver checks each file and reads
   * missing or damaged ones with `read`.
   */
  readonly readTogether?: (
    files: readonly MountFile[],
    signal: AbortSignal,
  ) => Promise<AsyncIterable<Uint8Array> | undefined>;
}

export type MountSource = DataFolderSource | HttpSource;

/** The state of a dataset to mount: an earlier revision, or the newest kept one with a digest; by default the latest. */
export interface WantedState {
  readonly revision?: number | undefined;
  /** Lower-case hexadecimal. */
  readonly digest?: string | undefined;
}

/** The dataset has changed since its manifest was read. */
export class DatasetChanged extends Error {}

/** Why a dataset was not mounted; the message is for a person. */
export type MountErrorCode =
  | 'not_ready'
  | 'failed'
  | 'digest_differs'
  | 'kind_missing'
  | 'occupied'
  | 'changed'
  | 'unstable'
  | 'damaged'
  | 'no_space'
  | 'cannot_link'
  | 'cannot_write';

export class MountError extends Error {
  readonly code: MountErrorCode;

  constructor(code: MountErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'MountError';
    this.code = code;
  }
}

/** A READY dataset whose filenames are valid and whose digest matches its files. */
export interface MountableDataset extends MountManifest {
  readonly digest: string;
}

/**
 * Checks a manifest, which may come from a service that is wrong or not trusted.
 *
 * @throws MountError `not_ready`, `failed`, `digest_differs`, `damaged`
 */
export function checkManifest(
  manifest: MountManifest,
  { digest: requiredDigest, revision }: WantedState,
): MountableDataset {
  const { name, status, digest } = manifest;
  if ((digest === undefined || status !== 'READY') && revision !== undefined) {
    const message = `Revision ${manifest.revision} of "${name}" is not fit to train on, and can't be mounted. To see which are, run: trainyard log ${JSON.stringify(name)}`;
    throw new MountError('failed', message);
  }
  if (digest === undefined || status !== 'READY') {
    const [code, advice] =
      status === 'UPLOADING'
        ? (['not_ready', 'Try again when the upload is complete.'] as const)
        : (['failed', `To see why, run: trainyard status ${JSON.stringify(name)}`] as const);
    throw new MountError(code, `"${name}" is ${status}, and only a READY dataset can be mounted. ${advice}`);
  }
  const required = requiredDigest ?? digest;
  if (required !== digest) {
    throw new MountError('digest_differs', `The digest of "${name}" is now ${digest}, not ${required}.`);
  }
  const fault = faultIn(manifest);
  if (fault !== undefined) throw new MountError('damaged', `The manifest of "${name}" is invalid: ${fault}`);
  return { ...manifest, digest };
}

function faultIn({ name, digest, files }: MountManifest): string | undefined {
  try {
    if (parseDatasetName(name) !== name) return `the name ${JSON.stringify(name)} is not normalized.`;
    for (const { filename } of files) {
      if (parseFilename(filename) !== filename) return `the name ${JSON.stringify(filename)} is not normalized.`;
    }
  } catch (error) {
    if (error instanceof ServiceError) return error.message;
    throw error;
  }
  const names = new Set(files.map(({ filename }) => mountedNameOf(filename)));
  if (names.size < files.length) return 'several files have the same name once their extensions are lower-cased.';
  const computed = digestOf(files.map(({ filename, sha256 }) => ({ filename, upload: { sha256 } })));
  return computed === digest ? undefined : `its files have the digest ${computed}, not ${digest}.`;
}

/** The error of a mount for one that says that no kept revision has the digest; `undefined` for others. */
export function digestNotKept(error: unknown): MountError | undefined {
  const isOther = !(error instanceof Error && 'code' in error && error.code === 'revision_not_found');
  return isOther ? undefined : new MountError('digest_differs', error.message, { cause: error });
}
