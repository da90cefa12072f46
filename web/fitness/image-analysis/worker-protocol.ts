import type { Look } from './image-analysis.js';
import type { Likeness } from './similar.js';

/** What the worker is asked: to look at one image, or which of many are alike. */
export type Question =
  | { readonly sha256: string; readonly thumbnail: Blob }
  | { readonly images: readonly Likeness[]; readonly most: number };

export type Answer =
  | { readonly sha256: string; readonly look: Look | undefined }
  | { readonly groups: readonly (readonly number[])[] };

/** A worker of its own, to be terminated by whoever has asked for it. */
export function startWorker(): Worker {
  return new Worker(new URL('./analysis.worker.ts', import.meta.url), { type: 'module' });
}
