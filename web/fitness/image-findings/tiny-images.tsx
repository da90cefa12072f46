import { memo, useMemo } from 'react';
import type { DatasetFile } from '../../../src/client/client.js';
import { countOf } from '../../ui/format.js';
import { FlaggedImages } from '../flagged-images.js';
import { Finding } from './finding.js';

/** In pixels, on the shorter side. The trainer never enlarges images, so it learns little from smaller ones. */
const MIN_SIDE = 256;

interface ImagesProps {
  readonly datasetId: string;
  readonly images: readonly DatasetFile[];
}

/** Images with a short side, as measured by the service. */
export const TinyImages = memo(function TinyImages({ datasetId, images }: ImagesProps) {
  const tiny = useMemo(
    () =>
      images
        .filter((image) => shorterOf(image) < MIN_SIDE)
        .sort((a, b) => shorterOf(a) - shorterOf(b))
        .map((file) => ({ file, detail: `${file.width} × ${file.height}` })),
    [images],
  );
  return (
    <Finding
      title="Tiny"
      count={tiny.length}
      isOpen={tiny.length > 0}
      none={`Every image has ${MIN_SIDE} pixels or more on its shorter side.`}
      summary={`${countOf(tiny.length, 'image')} with fewer than ${MIN_SIDE} pixels on the shorter side.`}
    >
      <FlaggedImages datasetId={datasetId} label="Tiny images" flagged={tiny} />
    </Finding>
  );
});

function shorterOf({ width, height }: DatasetFile): number {
  return Math.min(width ?? Number.POSITIVE_INFINITY, height ?? Number.POSITIVE_INFINITY);
}
