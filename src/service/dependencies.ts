import type { Micros, StatusRules } from '../dataset/dataset.js';
import type { Inspection } from '../dataset/inspect/inspection.js';
import type { BlobContent, BlobStore } from '../storage/blobs/blobs.js';
import type { Catalog } from '../storage/catalog/catalog.js';

/** Looks at all the bytes of a file that claims to be `filename`; rejects with the signal's reason. */
export type Inspector = (
  file: { readonly filename: string; readonly sizeBytes: number } & BlobContent,
  signal: AbortSignal,
) => Promise<Inspection>;

/** What may be chosen about the service; see `config.ts` for the defaults. */
export interface ServiceRules extends StatusRules {
  /** How long a signed link may be used, counted from its making. */
  readonly linkLifetime: Micros;
  /** The largest file a signed link is given for. */
  readonly maxLinkBytes: number;
  /** While bytes arrive, a sign of life is due within this time; then the upload is anybody's to end or take over. */
  readonly leaseDuration: Micros;
}

/** What the service is made of, and everything in it that is not a function of its input. */
export interface ServiceDependencies {
  readonly catalog: Catalog;
  readonly blobs: BlobStore;
  readonly inspect: Inspector;
  readonly rules: ServiceRules;
  readonly now: () => Micros;
  /**
   * Has the store asked whether uploads have come that a dataset waits for, and returns at once; only where clients bring
   * bytes to the store themselves, since that tells nobody.
   */
  readonly pollPresignedUploads?: (datasetId: string) => void;
  /** A new id: URL-safe, never the same twice, not to be guessed; begins with two lower-case hexadecimal digits. */
  readonly newId: () => string;
}
