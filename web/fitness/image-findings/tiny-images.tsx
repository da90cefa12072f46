import { Trash2 } from 'lucide-react';
import { memo, useMemo } from 'react';
import type { DatasetFile, DatasetWithFiles } from '../../../src/client/client.js';
import { type Pair, pairsOf } from '../../live/pairs.js';
import { useDeleting } from '../../pairs/selection/use-deleting.js';
import { WriteButton } from '../../session/write-button.js';
import { countOf } from '../../ui/format.js';
import { FlaggedImages } from '../flagged-images.js';
import { Finding } from './finding.js';

/** In pixels, on the shorter side. The trainer never enlarges images, so it learns little from smaller ones. */
const MIN_SIDE = 256;

interface ImagesProps {
  readonly dataset: DatasetWithFiles;
  readonly images: readonly DatasetFile[];
}

/** Images with a short side, as measured by the service. */
export const TinyImages = memo(function TinyImages({ dataset, images }: ImagesProps) {
  const tiny = useMemo(
    () =>
      images
        .filter((image) => shorterOf(image) < MIN_SIDE)
        .sort((a, b) => shorterOf(a) - shorterOf(b))
        .map((file) => ({ file, detail: `${file.width} × ${file.height}` })),
    [images],
  );
  const deleting = useDeleting(dataset.id);
  const names = new Set(tiny.map(({ file }) => file.filename));
  const areTiny = ({ media }: Pair) => media.length > 0 && media.every(({ filename }) => names.has(filename));
  return (
    <Finding
      title="Tiny"
      count={tiny.length}
      isOpen={tiny.length > 0}
      none={`Every image has ${MIN_SIDE} pixels or more on its shorter side.`}
      summary={`${countOf(tiny.length, 'image')} with fewer than ${MIN_SIDE} pixels on the shorter side.`}
    >
      <WriteButton
        kind="danger"
        className="self-start"
        disabled={deleting.deletion.isRunning}
        onClick={() => deleting.ask(pairsOf(dataset).filter(areTiny))}
      >
        <Trash2 size={16} aria-hidden /> Delete {countOf(tiny.length, 'tiny image')} with their captions
      </WriteButton>
      <FlaggedImages datasetId={dataset.id} label="Tiny images" flagged={tiny} />
      {deleting.question}
    </Finding>
  );
});

function shorterOf({ width, height }: DatasetFile): number {
  return Math.min(width ?? Number.POSITIVE_INFINITY, height ?? Number.POSITIVE_INFINITY);
}
