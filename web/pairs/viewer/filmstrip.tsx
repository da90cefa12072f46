import { useVirtualizer } from '@tanstack/react-virtual';
import { FileText } from 'lucide-react';
import { useLayoutEffect, useRef } from 'react';
import type { Pair } from '../../live/pairs.js';
import { Thumbnail } from '../../live/thumbnail.js';

/** The width of a picture, with the gap after it. */
const WIDTH = 72;

interface FilmstripProps {
  readonly datasetId: string;
  readonly pairs: readonly Pair[];
  readonly index: number;
  readonly onMove: (stem: string) => void;
}

/** The pairs before and after the one that is shown, in a line that scrolls. Renders only those in view. */
export function Filmstrip({ datasetId, pairs, index, onMove }: FilmstripProps) {
  const frame = useRef<HTMLDivElement>(null);
  const virtual = useVirtualizer({
    horizontal: true,
    count: pairs.length,
    getScrollElement: () => frame.current,
    estimateSize: () => WIDTH,
    overscan: 4,
  });
  useLayoutEffect(() => virtual.scrollToIndex(index, { align: 'center' }), [virtual, index]);
  return (
    <div ref={frame} className="h-20 shrink-0 overflow-x-auto overflow-y-hidden border-t border-line bg-panel">
      <ul aria-label="Filmstrip" className="relative mx-auto h-full" style={{ width: virtual.getTotalSize() }}>
        {virtual.getVirtualItems().map(({ index: at, start }) => {
          const { stem, media, files } = pairs[at]!;
          const [file] = media;
          const name = (file ?? files[0])?.filename ?? stem;
          return (
            <li key={stem} className="absolute inset-y-1" style={{ left: start, width: WIDTH }}>
              <button
                type="button"
                aria-label={`Show ${name}`}
                aria-current={at === index ? 'true' : undefined}
                title={name}
                tabIndex={at === index ? 0 : -1}
                onClick={() => onMove(stem)}
                className="flex h-full w-[calc(100%-4px)] cursor-pointer items-center justify-center overflow-hidden rounded-md bg-raised -outline-offset-2 text-muted aria-current:ring-2 aria-current:ring-accent aria-current:ring-inset"
              >
                {file === undefined ? (
                  <FileText size={20} aria-hidden />
                ) : (
                  <Thumbnail key={file.sha256} datasetId={datasetId} file={file} className="p-0.5" />
                )}
              </button>
            </li>
          );
        })}
      </ul>
    </div>
  );
}
