import type { LinkSlot, Role } from '../../dataset/dataset.js';

/** A file to be mounted. */
export interface MountFile {
  readonly filename: string;
  readonly sizeBytes: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
}

/** A control or mask dataset of a training dataset, in the state that it had when the manifest was read. */
export interface MountLink {
  readonly slot: LinkSlot;
  readonly datasetId: string;
  readonly name: string;
  /** `undefined` if it is not known. */
  readonly revision: number | undefined;
  /** `undefined` unless it was READY. */
  readonly digest: string | undefined;
}

/** The state of a dataset at one moment. */
export interface MountManifest {
  readonly datasetId: string;
  readonly name: string;
  readonly role: Role;
  /** The number of the revision that has these files; `undefined` if there is none, or the service has no history. */
  readonly revision: number | undefined;
  readonly status: string;
  /** Of its files and the digests of its links; `undefined` unless the dataset is READY. */
  readonly digest: string | undefined;
  readonly files: readonly MountFile[];
  /** In the order of `LINK_SLOTS`. */
  readonly links: readonly MountLink[];
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
  /** The source of a linked dataset in exactly the state that a manifest names. Its manifest may be of another name or digest. */
  readonly linked: (link: MountLink) => MountSource;
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
  /** The name of a file in the folder. */
  readonly nameOf: (file: MountFile) => string;
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

/** The state of a linked dataset that a manifest names. Its number finds it faster than its digest. */
export function stateOfLink({ revision, digest }: MountLink): WantedState {
  return revision === undefined ? { digest } : { revision };
}

/** The error of a mount of a revision without kept states of its controls and its mask. */
export function statesUnknown(name: string, revision: number): MountError {
  const message = `No READY states of the controls and the mask of "${name}" are kept from the time when revision ${revision} was its latest. Mount another revision, or the latest state.`;
  return new MountError('failed', message);
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

/** The error for a new file whose name the file system already has, although no two files of a folder have one name. */
export function nameTaken(
  file: MountFile,
  { files, nameOf, cause }: { files: readonly MountFile[]; nameOf: (file: MountFile) => string; cause: unknown },
): MountError {
  const folded = (each: MountFile) => nameOf(each).toLowerCase();
  const twin = files.find((each) => each !== file && folded(each) === folded(file));
  const names = [twin, file].map((each) => JSON.stringify(each?.filename));
  const message =
    twin === undefined
      ? `${names[1]} can't be written: another file has its name.`
      : `${names.join(' and ')} would be one file, since the file system ignores case. Rename one of them in the dataset, or use another file system.`;
  return new MountError('cannot_write', message, { cause });
}

/** The error of a mount for one that says that no kept revision has the digest; `undefined` for others. */
export function digestNotKept(error: unknown): MountError | undefined {
  const isOther = !(error instanceof Error && 'code' in error && error.code === 'revision_not_found');
  return isOther ? undefined : new MountError('digest_differs', error.message, { cause: error });
}
