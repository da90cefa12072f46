import type { ImageAnalysis } from './image-analysis.js';
import type { ImageSignature } from './similar.js';

/** A message to the worker: analyze one image, or group many by similarity. */
export type AnalysisRequest =
  | { readonly sha256: string; readonly thumbnail: Blob }
  | { readonly images: readonly ImageSignature[]; readonly maxDistance: number };

/** The worker's answer. `groups` hold indices into the `images` of the request. */
export type AnalysisResponse =
  | { readonly sha256: string; readonly analysis: ImageAnalysis | undefined }
  | { readonly groups: readonly (readonly number[])[] };
