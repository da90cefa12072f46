import { FileText, Film } from 'lucide-react';
import { memo, useRef } from 'react';
import { Link } from 'wouter';
import type { Pair } from '../live/pairs.js';
import { Thumbnail } from '../live/thumbnail.js';
import { useCardGrid } from '../ui/card-grid.js';
import { CaptionField } from './editing/caption-field.js';

const ONE_COLUMN = { heightRem: 9, gapRem: 0, leastWidthRem: Number.POSITIVE_INFINITY, overscanRows: 4 };

/** A list of captions, each beside its image. Renders only the rows in and near the viewport. */
export function CaptionList({ datasetId, pairs }: { datasetId: string; pairs: readonly Pair[] }) {
  const list = useRef<HTMLUListElement>(null);
  const { cells, height } = useCardGrid(list, { ...ONE_COLUMN, count: pairs.length });
  return (
    // biome-ignore lint/a11y/noRedundantRoles: Safari drops the list role from a list without markers
    <ul ref={list} role="list" aria-label="Captions" className="relative" style={{ height }}>
      {cells.map(({ index, style }) => (
        <li
          key={pairs[index]!.stem}
          aria-setsize={pairs.length}
          aria-posinset={index + 1}
          className="absolute inset-x-0 border-b border-line py-2"
          style={style}
        >
          <CaptionRow datasetId={datasetId} pair={pairs[index]!} />
        </li>
      ))}
    </ul>
  );
}

/** The caption of a pair, editable beside its image; as high as its parent. */
export const CaptionRow = memo(function CaptionRow({ datasetId, pair }: { datasetId: string; pair: Pair }) {
  const filename = pair.media[0]?.filename ?? pair.caption?.filename ?? '';
  return (
    <div className="flex h-full gap-3">
      <Link
        href={`/datasets/${datasetId}?file=${encodeURIComponent(filename)}`}
        aria-label={`Show ${filename}`}
        title={filename}
        className="group flex w-24 shrink-0 flex-col gap-1 text-xs sm:w-32"
      >
        <span className="relative flex min-h-0 grow items-center justify-center overflow-hidden rounded-lg border border-line bg-raised text-muted group-hover:border-accent">
          <Picture datasetId={datasetId} pair={pair} />
        </span>
        <span className="truncate text-muted group-hover:underline">{filename}</span>
      </Link>
      <div className="min-w-0 grow">
        <CaptionField datasetId={datasetId} pair={pair} />
      </div>
    </div>
  );
});

function Picture({ datasetId, pair }: { datasetId: string; pair: Pair }) {
  const file = pair.media[0];
  if (file === undefined) return <FileText size={20} aria-hidden />;
  if (file.kind === 'video') return <Film size={20} aria-hidden />;
  return <Thumbnail datasetId={datasetId} file={file} className="absolute inset-0" />;
}
