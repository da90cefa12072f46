import type { DatasetFile, DatasetWithFiles, Link } from '../../../src/client/client.js';
import type { LinkSlot } from '../../../src/dataset/dataset.js';

/** A link of a training dataset, with the files of the linked dataset. */
export interface LinkedFiles {
  readonly dataset: DatasetWithFiles;
  readonly link: Link & {
    readonly slot: LinkSlot;
    /** Empty until they are known. */
    readonly files: readonly DatasetFile[];
  };
  /** `control`, `control 2` or `mask`. */
  readonly word: string;
}
