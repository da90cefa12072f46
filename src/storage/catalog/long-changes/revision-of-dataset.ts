import type { Author, Micros } from '../../../dataset/dataset.js';

/** A revision of a dataset that is restored or undone, and by whom. */
export interface RevisionOfDataset {
  readonly datasetId: string;
  readonly number: number;
  readonly author: Author;
  readonly now: Micros;
}
