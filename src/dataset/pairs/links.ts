import type { Dataset, LinkSlot, Status } from '../dataset.js';
import type { PairProof } from './pair-proof.js';

/** One link of a training dataset at one moment. */
export interface LinkView {
  readonly slot: LinkSlot;
  readonly dataset: Dataset;
  readonly status: Status;
  /** Of the linked dataset, if it is READY. */
  readonly digest: string | undefined;
  readonly proof: PairProof;
}
