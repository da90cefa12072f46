import type { ImageAnalysis } from './image-analysis.js';

/** A message to the worker: analyze one image. */
export interface AnalysisRequest {
  readonly sha256: string;
  readonly thumbnail: Blob;
}

/** The worker's answer. */
export interface AnalysisResponse {
  readonly sha256: string;
  readonly analysis: ImageAnalysis | undefined;
}
