import { Eye, Trash2 } from 'lucide-react';
import { memo, useMemo, useState } from 'react';
import type { DatasetFile, DatasetWithFiles } from '../../src/client/client.js';
import { CaptionProgress } from '../captions/caption-progress.js';
import { type Pair, pairsOf } from '../live/pairs.js';
import { useDeleting } from '../pairs/selection/selection-verbs.js';
import { WriteButton } from '../session/write-button.js';
import { Button } from '../ui/button.js';
import { Labelled } from '../ui/fields.js';
import { countOf, numberOf } from '../ui/format.js';
import { Panel } from '../ui/panel.js';
import { FindingGroup } from './finding-group.js';
import { FlaggedImages } from './flagged-images.js';
import { type AnalyzedImage, type ImageAnalyses, useImageAnalysis } from './image-analysis.js';
import { binsOf, Histogram } from './plots/histogram.js';

/** Images that are dark, bright, blurred or tiny. The browser analyzes the pixels. */
export const ImageFindingsPanel = memo(function ImageFindingsPanel({ dataset }: { dataset: DatasetWithFiles }) {
  const { id, files } = dataset;
  const images = useMemo(() => files.filter(({ kind }) => kind === 'image'), [files]);
  const analyses = useImageAnalysis(dataset, images);
  if (images.length === 0) return null;
  const { analyzed } = analyses;
  return (
    <Panel title="Image analysis" aside={<StartOrCancel analyses={analyses} />}>
      <Progress analyses={analyses} />
      <div className="flex flex-col gap-2">
        <TinyImages dataset={dataset} images={images} />
        {analyzed.length > 0 &&
          MEASURES.map((measure) => (
            <MeasureFinding key={measure.name} datasetId={id} analyzed={analyzed} measure={measure} />
          ))}
      </div>
    </Panel>
  );
});

function StartOrCancel({ analyses: { progress, remaining, analyzed, start, cancel } }: { analyses: ImageAnalyses }) {
  if (progress.state === 'running') return <Button onClick={cancel}>Cancel</Button>;
  if (start === undefined) return null;
  return (
    <Button icon={Eye} kind="primary" onClick={start}>
      Analyze {countOf(remaining, analyzed.length > 0 ? 'more image' : 'image')}
    </Button>
  );
}

function Progress({ analyses: { progress, remaining, withoutThumbnail, analyzed } }: { analyses: ImageAnalyses }) {
  const { state, done, total, failed } = progress;
  if (state === 'running') {
    return (
      <CaptionProgress
        done={done}
        total={total}
        what={`${total === 1 ? 'image' : 'images'} analyzed in this browser`}
      />
    );
  }
  return (
    <p role="status" className="max-w-prose text-sm text-muted">
      {analyzed.length === 0 && remaining > 0 && 'Find dark, bright and blurred images. '}
      {analyzed.length > 0 && `${countOf(analyzed.length, 'image')} analyzed, from thumbnails of 320 pixels. `}
      {state === 'cancelled' && `Cancelled; ${numberOf(remaining)} not analyzed. `}
      {failed > 0 && state === 'idle' && `${countOf(failed, 'thumbnail')} could not be fetched; analyze again. `}
      {withoutThumbnail > 0 && `${countOf(withoutThumbnail, 'image')} without a thumbnail can't be analyzed.`}
    </p>
  );
}

/** In pixels, on the shorter side. The trainer never enlarges images, so it learns little from smaller ones. */
export const MIN_SIDE = 256;

/** Images with a short side, as measured by the service. */
function TinyImages({ dataset, images }: { dataset: DatasetWithFiles; images: readonly DatasetFile[] }) {
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
    <FindingGroup title="Tiny" count={tiny.length} isOpen={tiny.length > 0}>
      <div className="flex flex-col gap-4 p-3 text-sm sm:p-4">
        <p className="text-muted">
          {tiny.length === 0
            ? `Every image has ${MIN_SIDE} pixels or more on its shorter side.`
            : `${countOf(tiny.length, 'image')} with fewer than ${MIN_SIDE} pixels on the shorter side.`}
        </p>
        {tiny.length > 0 && (
          <>
            <WriteButton
              icon={Trash2}
              kind="danger"
              className="self-start"
              disabled={deleting.isRunning}
              onClick={() => deleting.ask(pairsOf(dataset).filter(areTiny))}
            >
              Delete {countOf(tiny.length, 'tiny image')} with their captions
            </WriteButton>
            <FlaggedImages datasetId={dataset.id} label="Tiny images" flagged={tiny} />
          </>
        )}
        {deleting.question}
      </div>
    </FindingGroup>
  );
}

export function shorterOf({ width, height }: DatasetFile): number {
  return Math.min(width ?? Number.POSITIVE_INFINITY, height ?? Number.POSITIVE_INFINITY);
}

/** What is measured of each image, in percent. Values beyond a limit, which the user moves, are a finding. */
const MEASURES = [
  {
    name: 'brightness',
    title: 'Very dark or very bright',
    limits: [
      { label: 'Dark', side: 'below', initial: 12, min: 0, max: 50, words: 'darker than' },
      { label: 'Bright', side: 'above', initial: 92, min: 50, max: 100, words: 'brighter than' },
    ],
    end: '.',
    decimals: 1,
    plot: { title: 'Mean brightness', summary: ' from black at 0 % to white at 100 %.', head: 'Brightness', to: 100 },
    ticks: [0, 25, 50, 75, 100].map((at) => ({ at, label: `${at} %` })),
  },
  {
    name: 'sharpness',
    title: 'Blurred',
    limits: [{ label: 'Blurred', side: 'below', initial: 25, min: 0, max: 100, words: 'with a sharpness below' }],
    end: ', even in the sharpest part. Smooth drawings score low as well.',
    decimals: 0,
    // A larger one counts as 200.
    plot: { title: 'Sharpness', summary: '; photographs in focus score 60 % and more.', head: 'Sharpness', to: 200 },
    ticks: [...[0, 50, 100, 150].map((at) => ({ at, label: `${at} %` })), { at: 200, label: 'more' }],
  },
] as const;

interface MeasureFindingProps {
  readonly datasetId: string;
  readonly analyzed: readonly AnalyzedImage[];
  readonly measure: (typeof MEASURES)[number];
}

/** The images beyond the limits of a measure, with the distribution of its values. */
const MeasureFinding = memo(function MeasureFinding({ datasetId, analyzed, measure }: MeasureFindingProps) {
  const { name, title, limits, end, decimals, plot, ticks } = measure;
  const [values, setValues] = useState<number[]>(limits.map(({ initial }) => initial));
  const bins = useMemo(() => {
    const measured = analyzed.map(({ analysis }) => analysis[name]);
    return binsOf(measured, { from: 0, to: plot.to, bins: 50 });
  }, [analyzed, name, plot]);
  const found = useMemo(
    () =>
      limits.map(({ side }, at) => {
        const distance = (value: number) => (side === 'below' ? value - values[at]! : values[at]! - value);
        return analyzed
          .filter(({ analysis }) => distance(analysis[name]) < 0)
          .sort((a, b) => distance(a.analysis[name]) - distance(b.analysis[name]))
          .map(({ file, analysis }) => ({ file, detail: `${analysis[name].toFixed(decimals)} %` }));
      }),
    [analyzed, name, decimals, limits, values],
  );
  const count = found.reduce((sum, { length }) => sum + length, 0);
  const parts = limits.map(({ words }, at) => `${countOf(found[at]!.length, 'image')} ${words} ${values[at]} %`);
  const isBeyond = ({ from, to }: { from: number; to: number }) =>
    limits.some(({ side }, at) => (side === 'below' ? to <= values[at]! : from >= values[at]!));
  return (
    <FindingGroup title={title} count={count}>
      <div className="flex flex-col gap-4 p-3 sm:p-4">
        <div className="grid items-center gap-4 lg:grid-cols-2">
          <Histogram
            title={plot.title}
            summary={countOf(analyzed.length, 'image') + plot.summary}
            {...{ bins, ticks }}
            thresholds={values}
            isHighlighted={isBeyond}
            head={[plot.head, 'Images']}
            rangeOf={({ from, to }) => (to >= 200 ? `${from} % and more` : `${from} to ${to} %`)}
          />
          <div className="flex flex-col gap-2">
            {limits.map((limit, at) => (
              <Slider
                key={limit.label}
                limit={limit}
                value={values[at]!}
                onChange={(value) => setValues(values.with(at, value))}
              />
            ))}
          </div>
        </div>
        <p className="text-sm text-muted">{count === 0 ? 'None.' : parts.join(', ') + end}</p>
        {limits.map(
          ({ label }, at) =>
            found[at]!.length > 0 && (
              <FlaggedImages key={label} datasetId={datasetId} label={`${label} images`} flagged={found[at]!} />
            ),
        )}
      </div>
    </FindingGroup>
  );
});

interface SliderProps {
  readonly limit: (typeof MEASURES)[number]['limits'][number];
  readonly value: number;
  readonly onChange: (value: number) => void;
}

function Slider({ limit: { label, side, min, max }, value, onChange }: SliderProps) {
  const text = `${side} ${value} %`;
  return (
    <Labelled label={<span className="inline-block min-w-20">{label}</span>} isBeside>
      {(id) => (
        <>
          <input
            {...{ id, min, max, value }}
            type="range"
            aria-valuetext={text}
            onChange={({ target }) => onChange(target.valueAsNumber)}
            className="h-6 w-48 touch max-w-full cursor-pointer accent-accent"
          />
          <span className="text-muted tabular-nums">{text}</span>
        </>
      )}
    </Labelled>
  );
}
