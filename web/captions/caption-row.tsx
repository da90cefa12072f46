import { memo } from 'react';
import { Link } from 'wouter';
import type { Pair } from '../live/pairs.js';
import { Thumbnail } from '../live/thumbnail.js';
import { CaptionField } from './editing/caption-field.js';

/** The caption of a pair, editable beside its image; as high as its parent. */
export const CaptionRow = memo(function CaptionRow({ datasetId, pair }: { datasetId: string; pair: Pair }) {
  const filename = (pair.media[0] ?? pair.files[0])?.filename ?? '';
  return (
    <div className="flex h-full gap-3">
      <Link
        href={`/datasets/${datasetId}?file=${encodeURIComponent(filename)}`}
        aria-label={`Show ${filename}`}
        title={filename}
        className="group flex w-24 shrink-0 flex-col gap-1 text-xs sm:w-32"
      >
        <span className="relative flex min-h-0 grow items-center justify-center overflow-hidden rounded-lg border border-line bg-raised text-muted group-hover:border-accent">
          <Thumbnail datasetId={datasetId} file={pair.media[0]} className="absolute inset-0" />
        </span>
        <span className="truncate text-muted group-hover:underline">{filename}</span>
      </Link>
      <div className="min-w-0 grow">
        <CaptionField datasetId={datasetId} pair={pair} />
      </div>
    </div>
  );
});
