import type { Manifest, ManifestFile, ManifestLink, WantedState } from '../manifest.js';

/** A file with its name in the mounted folder. */
export interface PlacedFile extends ManifestFile {
  readonly mountedName: string;
}

interface ManifestSource {
  /** Recorded in the mounted folder: the service's URL, or the data folder. */
  readonly name: string;
  /** The bytes that are read later belong to this state. */
  readonly manifest: (wanted: WantedState, signal: AbortSignal) => Promise<Manifest>;
  readonly linked: (link: ManifestLink) => MountSource;
}

/** A dataset whose bytes are files of this machine. */
export interface LocalSource extends ManifestSource {
  readonly kind: 'local';
  readonly pathOf: (file: ManifestFile) => string;
  /** The error for a file without bytes. */
  readonly missing: (file: ManifestFile) => Promise<Error>;
}

/** A dataset whose bytes come over HTTP: from a service or a bucket. */
export interface RemoteSource extends ManifestSource {
  readonly kind: 'remote';
  /** Reads a file from a byte on; the answer may begin before it. @throws DatasetChanged if the source lacks these bytes */
  readonly read: (file: ManifestFile, from: number, signal: AbortSignal) => Promise<RangeResponse>;
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
