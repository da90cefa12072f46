import { useEffect, useState } from 'react';
import { startAnalysisWorker } from '../image-analysis/analyzer.js';
import type { AnalysisRequest, AnalysisResponse } from '../image-analysis/worker-protocol.js';
import type { AnalyzedImage } from './use-image-analysis.js';

interface SimilarImages {
  readonly analyzed: readonly AnalyzedImage[];
  readonly groups: readonly (readonly AnalyzedImage[])[];
}

/** Groups similar images in a worker, the largest group first; `undefined` until that is done. */
export function useSimilar(
  analyzed: readonly AnalyzedImage[],
  maxDistance: number,
): readonly (readonly AnalyzedImage[])[] | undefined {
  const [found, setFound] = useState<SimilarImages>();
  useEffect(() => {
    if (analyzed.length === 0) return;
    const worker = startAnalysisWorker();
    worker.addEventListener('message', ({ data }: MessageEvent<AnalysisResponse>) => {
      if (!('groups' in data)) return;
      const groups = data.groups.map((indices) => indices.flatMap((index) => analyzed[index] ?? []));
      setFound({ analyzed, groups: groups.sort((a, b) => b.length - a.length) });
      worker.terminate();
    });
    const images = analyzed.map(({ analysis: { hash, shades } }) => ({ hash, shades }));
    worker.postMessage({ images, maxDistance } satisfies AnalysisRequest);
    return () => worker.terminate();
  }, [analyzed, maxDistance]);
  // With another distance, the previous groups stay until the new ones arrive. Groups of other images are not shown.
  return found?.analyzed === analyzed ? found.groups : undefined;
}
