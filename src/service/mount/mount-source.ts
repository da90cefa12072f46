import type { LinkSlot, Role } from '../../dataset/dataset.js';
import type { Group } from '../../dataset/groups.js';

export interface MountFile {
  readonly filename: string;
  readonly sizeBytes: number;
  /** Lower-case hexadecimal. */
  readonly sha256: string;
  readonly group?: string | undefined;
}

/** A file with its name in the mounted folder. */
export interface PlacedFile extends MountFile {
  readonly mountedName: string;
}

/** A control or mask in the state that it had when the manifest was read. */
export interface MountLink {
  readonly slot: LinkSlot;
  readonly datasetId: string;
  readonly name: string;
  /** `undefined` if it is not known. */
  readonly revision: number | undefined;
  /** `undefined` unless it was READY. */
  readonly digest: string | undefined;
}

export interface MountManifest {
  readonly datasetId: string;
  readonly name: string;
  readonly role: Role;
  /** `undefined` if there is none, or the service has no history. */
  readonly revision: number | undefined;
  readonly status: string;
  /** Covers the files and the digests of links; `undefined` unless READY. */
  readonly digest: string | undefined;
  readonly groups: readonly Group[];
  readonly files: readonly MountFile[];
  /** In the order of `LINK_SLOTS`; `undefined` if no READY states are kept from the time of the revision. */
  readonly links: readonly MountLink[] | undefined;
}

/** A revision, or the newest kept state with a digest; by default the latest. */
export interface WantedState {
  readonly revision?: number | undefined;
  /** Lower-case hexadecimal. */
  readonly digest?: string | undefined;
}

interface ManifestSource {
  /** Recorded in the mounted folder: the service's URL, or the data folder. */
  readonly name: string;
  /** The bytes that are read later belong to this state. */
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

/** A dataset whose bytes come over HTTP: from a service or a bucket. */
export interface RemoteSource extends ManifestSource {
  readonly kind: 'remote';
  /** Reads a file from a byte on; the answer may begin before it. @throws DatasetChanged if the source lacks these bytes */
  readonly read: (file: MountFile, from: number, signal: AbortSignal) => Promise<RangeResponse>;
  /** Yields files in order with unchecked bytes. It may end early. */
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

/** Why a dataset was not mounted. */
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
