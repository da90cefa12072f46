import type { Dataset, LinkSlot, StoredFile } from '../dataset/dataset.js';

/** A dataset at one moment. */
export interface Manifest extends Pick<Dataset, 'id' | 'name' | 'role' | 'groups'> {
  /** 0 if no file was ever stored, or the service has no history. */
  readonly revision: number;
  readonly status: string;
  /** Covers the files and the digests of links; only if READY. */
  readonly digest: string | undefined;
  /** Identifies its own files; only if READY with links. */
  readonly filesDigest?: string | undefined;
  /** Without damaged ones, by name. */
  readonly files: readonly ManifestFile[];
  /** In the order of `LINK_SLOTS`; absent for an earlier revision if no READY states of the linked datasets are kept. */
  readonly links?: readonly ManifestLink[] | undefined;
}

export interface ManifestFile extends Pick<StoredFile, 'filename'> {
  readonly group?: string | undefined;
  readonly upload: Pick<StoredFile['upload'], 'sizeBytes' | 'sha256'>;
}

/** The state of a control or mask at the moment of a manifest. */
export interface ManifestLink extends Pick<Dataset, 'id' | 'name'> {
  readonly slot: LinkSlot;
  /** 0 if it is not known. */
  readonly revision: number;
  /** Only if READY. */
  readonly digest: string | undefined;
}

/** A revision, or the newest kept state with a digest; by default the latest. */
export interface WantedState {
  readonly revision?: number | undefined;
  /** Lower-case hexadecimal. */
  readonly digest?: string | undefined;
}

export function bytesOf(files: readonly ManifestFile[]): number {
  return files.reduce((sum, { upload }) => sum + upload.sizeBytes, 0);
}
