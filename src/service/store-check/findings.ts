import type { ErrorProblem } from '../../dataset/problems.js';
import type { StoredObject } from '../../storage/blobs/inventory.js';
import type { Miscounted } from '../../storage/catalog/catalog-check.js';

/** A file of the catalog whose bytes are not those that were uploaded. */
export interface LostFile {
  readonly kind: 'missing' | 'damaged';
  /** True if only earlier revisions of the dataset have the file. */
  readonly isPast: boolean;
  readonly fileId: string;
  readonly datasetId: string;
  readonly datasetName: string;
  readonly filename: string;
  readonly sizeBytes: number;
  readonly sha256: string;
  readonly problem: ErrorProblem;
}

/** Something in the store that neither a file nor the trash names: `foreign` if trainyard gives no such name. */
export interface StrayObject {
  readonly kind: 'orphaned' | 'unfinished' | 'foreign';
  readonly object: StoredObject;
}

export type StoreFinding = LostFile | StrayObject | ({ readonly kind: 'miscounted' } & Miscounted);
export type StoreFindingKind = StoreFinding['kind'];

export const FINDING_KINDS = [
  'missing',
  'damaged',
  'orphaned',
  'unfinished',
  'foreign',
  'miscounted',
] as const satisfies readonly StoreFindingKind[];

const CHECK_PHASES = ['files', 'past files', 'objects', 'counts'] as const;
export type CheckPhase = (typeof CHECK_PHASES)[number];

/** How far a check has come. */
export interface CheckState {
  readonly phase: CheckPhase;
  /** The last file, object or dataset of the phase that was checked. */
  readonly after: string;
  readonly files: number;
  readonly bytes: number;
  readonly objects: number;
  /** Objects that a file or the trash names. */
  readonly explained: number;
  readonly datasets: number;
}

export const CHECK_START: CheckState = {
  phase: 'files',
  after: '',
  files: 0,
  bytes: 0,
  objects: 0,
  explained: 0,
  datasets: 0,
};
