import type { LinkSlot, Role } from '../../dataset/dataset.js';

/** A file that a manifest names. */
export interface MountFile {
  readonly filename: string;
  readonly sizeBytes: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
}

/** A file, and its name in the folder that it is brought into. */
export interface PlacedFile extends MountFile {
  readonly mountedName: string;
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
  /** In the order of `LINK_SLOTS`; `undefined` for a revision of whose time no READY states of them are kept. */
  readonly links: readonly MountLink[] | undefined;
}

/** The state of a dataset to mount: an earlier revision, or the newest kept one with a digest; by default the latest. */
export interface WantedState {
  readonly revision?: number | undefined;
  /** Lower-case hexadecimal. */
  readonly digest?: string | undefined;
}

/** A dataset that can be read. */
interface ManifestSource {
  /** Written into the mounted folder: the service's URL, or the data folder's path. */
  readonly name: string;
  /** Reads the dataset in a state. The bytes that are read later are those of its files. */
  readonly manifest: (wanted: WantedState, signal: AbortSignal) => Promise<MountManifest>;
  readonly linked: (link: MountLink) => MountSource;
}

/** A dataset whose bytes are files of this machine. */
export interface LocalSource extends ManifestSource {
  readonly kind: 'local';
  readonly pathOf: (file: MountFile) => string;
  /** The error for a file without bytes. */
  readonly missing: (file: MountFile) => Promise<Error>;
}

/** A dataset whose bytes come over HTTP: from a service, or from the bucket of this service. */
export interface RemoteSource extends ManifestSource {
  readonly kind: 'remote';
  /**
   * Reads a file from a byte on; the answer may begin before it.
   *
   * @throws DatasetChanged if the source no longer has these bytes under that name
   */
  readonly read: (file: MountFile, from: number, signal: AbortSignal) => Promise<RangeResponse>;
  /** Yields the files in order with their bytes, which are not checked. Ends early where the answer does; empty if the source can't. */
  readonly readTogether: (
    files: readonly PlacedFile[],
    signal: AbortSignal,
  ) => AsyncIterable<{ file: PlacedFile; bytes: Buffer }>;
}

export interface RangeResponse {
  readonly from: number;
  readonly body: AsyncIterable<Uint8Array>;
}

export type MountSource = LocalSource | RemoteSource;

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
