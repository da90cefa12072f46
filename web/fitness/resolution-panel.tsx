import { memo, useMemo, useState } from 'react';
import type { DatasetFile } from '../../src/client/client.js';
import { BUCKET_STEPS, bucketsOf, isBelow, RESOLUTIONS } from '../../src/dataset/buckets.js';
import { mediaTypeOf } from '../../src/dataset/media.js';
import { countOf, numberOf } from '../ui/format.js';
import { Choices, Panel } from '../ui/panel.js';
import { type FilesProps, FlaggedImages } from './flagged-images.js';
import { BucketBars } from './plots/bucket-bars.js';
import { binsOf, Histogram } from './plots/histogram.js';
import { SizeScatter } from './plots/size-scatter.js';

/** Bins of the aspect ratio as a power of two. The outer bins include ratios beyond 1:4 and 4:1. */
const ASPECT_BINS = { from: -2.05, to: 2.05, bins: 41 };

const ASPECT_TICKS = [
  ['1:4', 1 / 4],
  ['1:2', 1 / 2],
  ['2:3', 2 / 3],
  ['1:1', 1],
  ['3:2', 3 / 2],
  ['2:1', 2],
  ['4:1', 4],
] as const;

const MODELS = {
  8: 'Stable Diffusion and SDXL',
  16: 'Krea 2, Z-Image and Ideogram 4',
  32: 'FLUX, Qwen-Image and LTX-2',
} as const;

const MEDIA = [
  { kind: 'image', title: 'Buckets of images', noun: 'image' },
  { kind: 'video', title: 'Buckets of clips', noun: 'clip' },
] as const;

type Measured = DatasetFile & { readonly width: number; readonly height: number };

/** The sizes in which the trainer will train on these files. */
export const ResolutionPanel = memo(function ResolutionPanel({ datasetId, files }: FilesProps) {
  const [resolution, setResolution] = useState<(typeof RESOLUTIONS)[number]>(1024);
  const [step, setStep] = useState<(typeof BUCKET_STEPS)[number]>(16);
  const [isBelowShown, setBelowShown] = useState(false);
  const images = useMemo(
    () => files.filter((file): file is Measured => file.kind === 'image' && isMeasured(file) && isTrainable(file)),
    [files],
  );
  const buckets = useMemo(() => bucketsOf(files, { resolution, step }), [files, resolution, step]);
  const below = useMemo(() => images.filter((image) => isBelow(image, resolution)), [images, resolution]);
  const ignored = useMemo(() => files.filter((file) => file.kind !== 'caption' && !isTrainable(file)).length, [files]);
  if (buckets.length === 0) return null;
  return (
    <Panel
      title="Resolutions and buckets"
      aside={
        <>
          <Choices label="Resolution" options={RESOLUTIONS} value={resolution} onChange={setResolution} />
          <Choices label="Sides in steps of" options={BUCKET_STEPS} value={step} onChange={setStep} />
        </>
      }
    >
      <p className="max-w-prose text-sm text-muted">
        The trainer scales each image down to the area of the resolution, crops to the centre, and batches images of one
        size. It never enlarges an image, except by rounding. {MODELS[step]} use steps of {step}. With a list of
        resolutions, the trainer trains on every image at each of them.
      </p>
      <div className="grid gap-6 lg:grid-cols-2">
        <div className="flex min-w-0 flex-col gap-6">
          {images.length > 0 && <SizeScatter sizes={images} resolution={resolution} />}
          {images.length > 0 && <AspectRatios images={images} />}
        </div>
        <div className="flex min-w-0 flex-col gap-6">
          {MEDIA.map(({ kind, title, noun }) => {
            const ofKind = buckets.filter((bucket) => bucket.kind === kind);
            if (ofKind.length === 0) return null;
            const counted = ofKind.map(({ width, height, files: { length } }) => ({ width, height, count: length }));
            return <BucketBars key={kind} title={title} noun={noun} buckets={counted} />;
          })}
        </div>
      </div>
      {below.length > 0 && (
        <div className="flex flex-col gap-3">
          <p className="text-sm">
            <span className="text-warn">
              {numberOf(below.length)} of {countOf(images.length, 'image')} {below.length === 1 ? 'has' : 'have'} fewer
              pixels than {resolution} × {resolution}
            </span>{' '}
            and {below.length === 1 ? 'is' : 'are'} trained on at {below.length === 1 ? 'its' : 'their'} own, smaller
            size.{' '}
            <button
              type="button"
              aria-expanded={isBelowShown}
              onClick={() => setBelowShown(!isBelowShown)}
              className="cursor-pointer text-link"
            >
              {isBelowShown ? 'Hide them' : 'Show them'}
            </button>
          </p>
          {isBelowShown && (
            <FlaggedImages
              datasetId={datasetId}
              label={`Images below ${resolution}`}
              flagged={below.map((file) => ({ file, detail: `${file.width} × ${file.height}` }))}
            />
          )}
        </div>
      )}
      {ignored > 0 && (
        <p className="text-sm text-muted">
          Not counted here: {countOf(ignored, 'file')} of a type that the trainer does not read.
        </p>
      )}
    </Panel>
  );
});

function AspectRatios({ images }: { images: readonly Measured[] }) {
  const bins = binsOf(
    images.map(({ width, height }) => Math.log2(width / height)),
    ASPECT_BINS,
  );
  const square = bins[(ASPECT_BINS.bins - 1) / 2]?.count ?? 0;
  const wide = images.filter(({ width, height }) => width > height).length;
  return (
    <Histogram
      title="Aspect ratios, width to height"
      summary={`${numberOf(wide)} of ${countOf(images.length, 'image')} are wider than tall, ${numberOf(square)} are about square.`}
      bins={bins}
      ticks={ASPECT_TICKS.map(([label, ratio]) => ({ at: Math.log2(ratio), label }))}
      head={['Width to height', 'Images']}
      rangeOf={({ from, to }) => `${(2 ** from).toFixed(2)} to ${(2 ** to).toFixed(2)}`}
    />
  );
}

function isMeasured(file: DatasetFile): boolean {
  return file.width !== undefined && file.height !== undefined;
}

function isTrainable(file: DatasetFile): boolean {
  return mediaTypeOf(file.filename)?.trainable === true;
}
