import { useWindowVirtualizer } from '@tanstack/react-virtual';
import { FileText, Film } from 'lucide-react';
import { memo, useLayoutEffect, useRef, useState } from 'react';
import { Link } from 'wouter';
import type { Pair } from '../live/pairs.js';
import { Thumbnail } from '../live/thumbnail.js';
import { CaptionField } from './editing/caption-field.js';

const ROW_REM = 9;

/** A list of captions, each beside its image. Renders only the rows in and near the viewport. */
export function CaptionList({ datasetId, pairs }: { datasetId: string; pairs: readonly Pair[] }) {
  const list = useRef<HTMLUListElement>(null);
  const [{ top, rem }, setLayout] = useState({ top: 0, rem: 16 });
  useLayoutEffect(() => {
    const measure = () => {
      const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
      const top = (list.current?.getBoundingClientRect().top ?? 0) + window.scrollY;
      setLayout((known) => (known.top === top && known.rem === rem ? known : { top, rem }));
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(document.body);
    return () => observer.disconnect();
  }, []);
  const virtual = useWindowVirtualizer({
    count: pairs.length,
    estimateSize: () => ROW_REM * rem,
    getItemKey: (index) => pairs[index]!.stem,
    overscan: 4,
    scrollMargin: top,
  });
  useLayoutEffect(() => {
    if (rem > 0) virtual.measure();
  }, [virtual, rem]);
  return (
    // biome-ignore lint/a11y/noRedundantRoles: Safari drops the list role from a list without markers
    <ul ref={list} role="list" aria-label="Captions" className="relative" style={{ height: virtual.getTotalSize() }}>
      {virtual.getVirtualItems().map(({ index, key, start }) => (
        <li
          key={key}
          aria-setsize={pairs.length}
          aria-posinset={index + 1}
          className="absolute inset-x-0 border-b border-line py-2"
          style={{ top: start - top, height: `${ROW_REM}rem` }}
        >
          <Row datasetId={datasetId} pair={pairs[index]!} />
        </li>
      ))}
    </ul>
  );
}

const Row = memo(function Row({ datasetId, pair }: { datasetId: string; pair: Pair }) {
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
