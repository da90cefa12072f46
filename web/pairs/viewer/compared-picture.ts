import type { Size } from '../../../src/dataset/buckets.js';
import type { DatasetFile } from '../../../src/client/client.js';

/** A picture that is compared with another one. */
export interface ComparedPicture {
  readonly datasetId: string;
  readonly file: DatasetFile;
  /** What it is, such as `control`, and which file. */
  readonly label: string;
}

/** The size of a file in pixels, if it is known. */
export function pictureSizeOf({ width, height }: DatasetFile): Size | undefined {
  return width && height ? { width, height } : undefined;
}

/** The line below pictures that are compared. */
export const COMPARED_LABELS = 'flex flex-wrap items-center justify-center gap-x-4 px-2 py-1 text-xs text-muted';
