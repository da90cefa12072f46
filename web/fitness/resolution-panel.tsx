import { memo, useMemo, useState } from 'react';
import type { DatasetFile } from '../../src/client/client.js';
import { BUCKET_STEPS, bucketsOf, isBelow, RESOLUTIONS, type Size } from '../../src/dataset/buckets.js';
import { groupedBy } from '../../src/dataset/grouped-by.js';
import { isTrainable } from '../pairs/media-facts.js';
import { capitalized, countOf, numberOf } from '../ui/format.js';
import { Choices, Panel } from '../ui/panel.js';
import { type FilesProps, FlaggedImages } from './flagged-images.js';
import { Figure } from './plots/figure.js';
import { binsOf, Histogram } from './plots/histogram.js';

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

const MAX_BARS = 14;

/** The height of a row, in CSS pixels. */
const ROW = 24;

/** A batch of this size repeats the images of a smaller bucket. */
const FEW = 3;

interface BucketBarsProps {
  readonly title: string;
  readonly noun: string;
  /** Sorted by count, descending. */
  readonly buckets: readonly (Size & { readonly count: number })[];
}

/** A bar chart of the buckets that the trainer will make. */
function BucketBars({ title, noun, buckets }: BucketBarsProps) {
  const maxCount = buckets[0]?.count ?? 1;
  const few = buckets.filter(({ count }) => count < FEW);
  const shown = buckets.slice(0, MAX_BARS);
  const hidden = buckets.length - shown.length;
  const total = buckets.reduce((sum, { count }) => sum + count, 0);
  return (
    <div className="flex flex-col gap-2">
      <Figure
        title={title}
        summary={`${countOf(buckets.length, 'bucket')} of ${countOf(total, noun)}; the largest has ${maxCount}, and ${few.length} have one or two.`}
        height={Math.max(1, shown.length) * ROW}
        left={96}
        right={56}
        table={{
          head: ['Bucket', capitalized(`${noun}s`), 'Share'],
          rows: buckets.map(({ width, height, count }) => [
            `${width} × ${height}`,
            count,
            `${((100 * count) / total).toFixed(1)} %`,
          ]),
        }}
      >
        {shown.map(({ width, height, count }, row) => {
          const length = `${Math.max(1, (100 * count) / maxCount)}%`;
          return (
            <g key={`${width}x${height}`} transform={`translate(0 ${row * ROW})`} className="text-xs">
              <text x={-10} y={16} textAnchor="end" className="fill-text">
                {width} × {height}
              </text>
              <rect
                y={4}
                width={length}
                height={ROW - 8}
                rx={3}
                className={count < FEW ? 'fill-warn' : 'fill-accent'}
              />
              <text x={length} dx={8} y={16} className="fill-muted">
                {numberOf(count)}
              </text>
            </g>
          );
        })}
      </Figure>
      {hidden > 0 && <p className="text-sm text-muted">and {countOf(hidden, 'smaller bucket')}, in the table</p>}
      {few.length > 0 && (
        <p className="text-sm text-warn">
          {few.length === 1 ? 'One bucket has' : `${numberOf(few.length)} buckets have`} only one or two {noun}s. A
          larger batch repeats them, so they count more than others.
        </p>
      )}
    </div>
  );
}

const HEIGHT = 300;
const BELOW = 34;
const ABOVE = 10;

/** More dots would be slow to draw and hard to tell apart. */
const MAX_DOTS = 400;

/** Plots width and height of every image on logarithmic axes. Images below the dashed line can't fill the resolution. */
function SizeScatter({ sizes, resolution }: { sizes: readonly Size[]; resolution: number }) {
  const dots = dotsOf(sizes);
  const sides = sizes.flatMap(({ width, height }) => [Math.log2(width), Math.log2(height)]);
  const target = Math.log2(resolution);
  // `Math.min(...sides)` would fail for a large dataset: the number of arguments is limited.
  const low = Math.floor(sides.reduce((a, b) => Math.min(a, b), target) * 2 - 0.5) / 2;
  const high = Math.ceil(sides.reduce((a, b) => Math.max(a, b), target) * 2 + 0.5) / 2;
  const below = sizes.filter((size) => isBelow(size, resolution)).length;
  const ticks = Array.from({ length: Math.floor(high) - Math.ceil(low) + 1 }, (_, step) => Math.ceil(low) + step);
  const x = (log: number) => `${(100 * (log - low)) / (high - low)}%`;
  const y = (log: number) => HEIGHT - BELOW - ((log - low) / (high - low)) * (HEIGHT - BELOW - ABOVE);
  // On two logarithmic axes, all sizes of one area lie on a straight line.
  const [first, last] = [Math.max(low, 2 * target - high), Math.min(high, 2 * target - low)];
  return (
    <Figure
      title="Sizes"
      summary={`${countOf(dots.length, 'size')} of ${countOf(sizes.length, 'image')}; ${below} with fewer pixels than ${resolution} × ${resolution}.`}
      height={HEIGHT}
      left={42}
      right={12}
      table={{
        head: ['Width', 'Height', 'Images', `Fills ${resolution}`],
        rows: dots.map((dot) => [dot.width, dot.height, dot.count, isBelow(dot, resolution) ? 'no' : 'yes']),
      }}
    >
      {ticks.map((log) => (
        <g key={log} className="fill-muted text-[11px]">
          <line x1={x(log)} x2={x(log)} y1={ABOVE} y2={y(low)} className="stroke-line" />
          <line x1={0} x2="100%" y1={y(log)} y2={y(log)} className="stroke-line" />
          <text x={x(log)} y={HEIGHT - 18} textAnchor="middle">
            {2 ** log}
          </text>
          <text x={-6} y={y(log) + 4} textAnchor="end">
            {2 ** log}
          </text>
        </g>
      ))}
      <text x="100%" y={HEIGHT - 3} textAnchor="end" className="fill-muted text-[11px]">
        width in pixels; height upward
      </text>
      <line
        x1={x(first)}
        y1={y(2 * target - first)}
        x2={x(last)}
        y2={y(2 * target - last)}
        strokeWidth={1.5}
        strokeDasharray="5 4"
        className="stroke-text"
      />
      {dots.map((dot) => (
        <circle
          key={`${dot.width}x${dot.height}`}
          cx={x(Math.log2(dot.width))}
          cy={y(Math.log2(dot.height))}
          r={Math.min(14, 3.5 + 1.2 * Math.log2(dot.count))}
          fillOpacity={0.65}
          className={isBelow(dot, resolution) ? 'fill-warn' : 'fill-accent'}
        >
          <title>{`${dot.width} × ${dot.height}: ${countOf(dot.count, 'image')}`}</title>
        </circle>
      ))}
    </Figure>
  );
}

/** The sizes with their counts, the most frequent first; of too many sizes, similar ones together. */
function dotsOf(sizes: readonly Size[]): (Size & { count: number })[] {
  // Sizes are rounded to so many steps per doubling; finer steps are tried first.
  for (const steps of [Number.POSITIVE_INFINITY, 16, 8, 4]) {
    const dots = countsOf(sizes, steps);
    if (dots.length <= MAX_DOTS) return dots;
  }
  return countsOf(sizes, 2).slice(0, MAX_DOTS);
}

function countsOf(sizes: readonly Size[], steps: number): (Size & { count: number })[] {
  const rounded = (pixels: number) =>
    Number.isFinite(steps) ? Math.round(2 ** (Math.round(Math.log2(pixels) * steps) / steps)) : pixels;
  const groups = groupedBy(sizes, ({ width, height }) => `${rounded(width)}x${rounded(height)}`);
  return [...groups.values()]
    .map((group) => ({ width: rounded(group[0]!.width), height: rounded(group[0]!.height), count: group.length }))
    .sort((a, b) => b.count - a.count);
}
