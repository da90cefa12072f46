import type { Micros, Role, StatusRules } from '../dataset/dataset.js';
import type { Inspection } from '../dataset/inspect/inspection.js';
import type { BlobContent, BlobStore } from '../storage/blobs/blobs.js';
import type { Catalog } from '../storage/catalog/catalog.js';
import type { Jobs } from '../storage/catalog/jobs.js';

export interface InspectorOptions {
  /** The account of the file: concurrent inspections are shared fairly between accounts. */
  readonly accountId: string;
  /** The role of the dataset of the file. */
  readonly role?: Role | undefined;
  /** True if no client waits for the result: uploads go first. */
  readonly isBackground?: boolean;
  /** False if the facts of a clip are not needed, since a decoder reads them afterwards. */
  readonly readsClipFacts?: boolean;
  /** The processor time for which a client waits; by default as much as the file may use. */
  readonly maxSeconds?: number | undefined;
  readonly signal: AbortSignal;
}

/** Inspects all the bytes of a file named `filename`. Rejects with CpuBudgetSpent, and with the signal's reason. */
export type Inspector = (
  file: { readonly filename: string; readonly sizeBytes: number } & BlobContent,
  options: InspectorOptions,
) => Promise<Inspection>;

/** A local clip whose container is known. */
export interface ClipToDecode {
  readonly path: string;
  readonly filename: string;
  readonly sizeBytes: number;
  readonly inspection: Inspection & { readonly ok: true };
}

/**
 * Decodes every frame of a clip and reads its facts. Resolves with the completed inspection, or with an error of the clip.
 * Rejects with CpuBudgetSpent, and with the signal's reason.
 */
export type ClipDecoder = (clip: ClipToDecode, options: InspectorOptions) => Promise<Inspection>;

/** Limits and durations that the configuration sets; `config.ts` has the defaults. */
export interface ServiceRules extends StatusRules {
  /** How long a signed upload link is valid. */
  readonly linkLifetime: Micros;
  /** The largest file that gets a signed upload link. */
  readonly maxLinkBytes: number;
  /** How long an upload lease lasts without renewal. Then cleanup may end the upload, or another attempt take it over. */
  readonly leaseDuration: Micros;
  /** Processor time. A file whose inspection takes longer is answered as received, and inspected in the background. */
  readonly maxInlineSeconds: number;
}

/** The catalog, the blob store, and every source of time and randomness that the service uses. */
export interface ServiceDependencies {
  readonly catalog: Catalog;
  readonly blobs: BlobStore;
  readonly jobs: Jobs;
  readonly inspect: Inspector;
  /** Absent if the system has no decoder: then every clip keeps the warning `NOT_FULLY_CHECKED`. */
  readonly decodeClip?: ClipDecoder;
  readonly rules: ServiceRules;
  readonly now: () => Micros;
  /** Makes a URL-safe, unique and unguessable id that begins with two lower-case hexadecimal digits. */
  readonly newId: () => string;
}
