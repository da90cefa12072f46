import type { Micros, Role, StatusRules } from '../dataset/dataset.js';
import type { Inspection } from '../dataset/inspect/inspection.js';
import type { BlobStore } from '../storage/blobs/blobs.js';
import type { Catalog } from '../storage/catalog/catalog.js';
import type { Jobs } from '../storage/catalog/jobs.js';

export interface InspectorOptions {
  /** Inspections are fair between accounts. */
  readonly accountId: string;
  readonly role?: Role | undefined;
  /** For a job: uploads go first, unless its outcome is awaited. */
  readonly isBackground?: boolean | 'awaited';
  /** False if a decoder reads the facts of clips afterwards. */
  readonly readsClipFacts?: boolean;
  /** The processor time for which a client waits; by default what the file may use. */
  readonly maxSeconds?: number | undefined;
  readonly signal: AbortSignal;
}

/** Inspects all bytes of a file. Rejects with CpuBudgetSpent, and with the signal's reason. */
export type Inspector = (
  file: { readonly filename: string; readonly sizeBytes: number; readonly path: string },
  options: InspectorOptions,
) => Promise<Inspection>;

/** A local clip with a known container. */
export interface ClipToDecode {
  readonly path: string;
  readonly filename: string;
  readonly sizeBytes: number;
  readonly inspection: Inspection & { readonly ok: true };
}

/** Decodes every frame of a clip and reads its facts. Rejects with CpuBudgetSpent, and with the signal's reason. */
export type ClipDecoder = (clip: ClipToDecode, options: InspectorOptions) => Promise<Inspection>;
export interface ServiceRules extends StatusRules {
  readonly linkLifetime: Micros;
  readonly maxLinkBytes: number;
  /** How long an upload lease lasts without renewal. Then cleanup may end the upload, or another attempt take it over. */
  readonly leaseDuration: Micros;
  /** Processor time. A file that needs more is answered as received, and inspected in the background. */
  readonly maxInlineSeconds: number;
}

export interface ServiceDependencies {
  readonly catalog: Catalog;
  readonly blobs: BlobStore;
  readonly jobs: Jobs;
  readonly inspect: Inspector;
  /** Without a decoder, every clip has the warning `NOT_FULLY_CHECKED`. */
  readonly decodeClip?: ClipDecoder | undefined;
  readonly rules: ServiceRules;
  readonly now: () => Micros;
  /** Makes a URL-safe and unguessable id that begins with two lower-case hexadecimal digits. */
  readonly newId: () => string;
}
