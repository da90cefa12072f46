import { useEffect, useEffectEvent, useMemo, useState, useSyncExternalStore } from 'react';
import type { DatasetFile, DatasetWithFiles } from '../../../src/client/client.js';
import { useLinks } from '../../live/dataset.js';
import { readCachedAnalyses, writeCachedAnalyses } from '../image-analysis/analysis-cache.js';
import { type AnalysisProgress, ImageAnalyzer } from '../image-analysis/analyzer.js';
import type { ImageAnalysis } from '../image-analysis/image-analysis.js';

/** Up to this many images are analyzed without a click. */
const MAX_AUTOMATIC = 500;

export interface AnalyzedImage {
  readonly file: DatasetFile;
  readonly analysis: ImageAnalysis;
}

/** The analyses of a dataset's images. Of several files with the same bytes, only the first counts. */
export interface ImageAnalyses {
  readonly progress: AnalysisProgress;
  readonly analyzed: readonly AnalyzedImage[];
  /** Number of images that have not been analyzed yet. */
  readonly remaining: number;
  /** Number of images that can't be analyzed, because the service makes no thumbnail of them. */
  readonly withoutThumbnail: number;
  /** Analyzes the remaining images; `undefined` while a run can't start. */
  readonly start: (() => void) | undefined;
  readonly cancel: () => void;
}

/** Analyzes the images of a dataset in the background: a small dataset at once, a large one when `start` is called. */
export function useImageAnalysis({ id, status }: DatasetWithFiles, images: readonly DatasetFile[]): ImageAnalyses {
  const links = useLinks(id);
  const [analyzer] = useState(() => new ImageAnalyzer());
  const progress = useSyncExternalStore(analyzer.subscribe, analyzer.progress);
  const isCacheRead = useCachedAnalyses(analyzer, id);
  const distinct = useMemo(() => distinctOf(images), [images]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: both change when the analyzer has new analyses
  const { analyzed, remaining, withoutThumbnail } = useMemo(
    () => sortOut(analyzer, distinct),
    [analyzer, distinct, isCacheRead, progress.finishedRuns],
  );

  const canStart = isCacheRead && links !== undefined && progress.state !== 'running' && remaining.length > 0;
  const start = () =>
    analyzer.start(remaining.map((file) => ({ sha256: file.sha256, thumbnailUrl: links?.thumbnail(file) ?? '' })));
  const startAutomatically = useEffectEvent(start);
  const isAutomatic =
    canStart &&
    remaining.length <= MAX_AUTOMATIC &&
    status !== 'UPLOADING' &&
    progress.state === 'idle' &&
    progress.failed === 0;
  useEffect(() => {
    if (isAutomatic) startAutomatically();
  }, [isAutomatic]);

  const writeCache = useEffectEvent(
    () =>
      void writeCachedAnalyses(
        id,
        distinct.flatMap((file) => cacheEntryOf(analyzer, file)),
      ),
  );
  useEffect(() => {
    if (progress.finishedRuns > 0) writeCache();
  }, [progress.finishedRuns]);
  useEffect(() => () => analyzer.cancel(), [analyzer]);

  return {
    progress,
    analyzed,
    remaining: remaining.length,
    withoutThumbnail,
    start: canStart ? start : undefined,
    cancel: () => analyzer.cancel(),
  };
}

/** Restores the cached analyses of a dataset; returns true once that is done. */
function useCachedAnalyses(analyzer: ImageAnalyzer, id: string): boolean {
  const [restoredId, setRestoredId] = useState<string>();
  useEffect(() => {
    let isCurrent = true;
    void readCachedAnalyses(id).then((analyses) => {
      if (!isCurrent) return;
      analyzer.restore(analyses);
      setRestoredId(id);
    });
    return () => {
      isCurrent = false;
    };
  }, [analyzer, id]);
  return restoredId === id;
}

/** The first of several files with the same bytes. */
function distinctOf(files: readonly DatasetFile[]): DatasetFile[] {
  const known = new Set<string>();
  return files.filter(({ sha256 }) => !known.has(sha256) && known.add(sha256));
}

function sortOut(analyzer: ImageAnalyzer, distinct: readonly DatasetFile[]) {
  const analyzed: AnalyzedImage[] = [];
  const remaining: DatasetFile[] = [];
  let withoutThumbnail = 0;
  for (const file of distinct) {
    const analysis = analyzer.analysisOf(file.sha256);
    if (analysis !== undefined) analyzed.push({ file, analysis });
    else if (analyzer.has(file.sha256)) withoutThumbnail++;
    else remaining.push(file);
  }
  return { analyzed, remaining, withoutThumbnail };
}

function cacheEntryOf(
  analyzer: ImageAnalyzer,
  { sha256 }: DatasetFile,
): (readonly [string, ImageAnalysis | undefined])[] {
  return analyzer.has(sha256) ? [[sha256, analyzer.analysisOf(sha256)]] : [];
}
