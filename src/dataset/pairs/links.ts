import type { Dataset, LinkSlot, Status } from '../dataset.js';

/** What is wrong with the pairs of one link; each is a list of stems in order. */
export interface PairFindings {
  /** The target has an image, the linked dataset has none. */
  readonly missing: readonly string[];
  /** The linked dataset has an image, the target has none. */
  readonly extra: readonly string[];
  /** The linked dataset has several images. */
  readonly ambiguous: readonly string[];
  /** The sizes of the two images do not fit each other, which may be an error or a warning. */
  readonly misfit: readonly string[];
}

/** One link of a training dataset at one moment. */
export interface LinkView {
  readonly slot: LinkSlot;
  readonly dataset: Dataset;
  readonly status: Status;
  /** Of the linked dataset, if it is READY. */
  readonly digest: string | undefined;
  readonly findings: PairFindings;
}
