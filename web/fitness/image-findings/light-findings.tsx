import { memo, useMemo, useState } from 'react';
import { countOf } from '../../ui/format.js';
import { FlaggedImages } from '../flagged-images.js';
import type { ImageAnalysis } from '../image-analysis/image-analysis.js';
import { Histogram } from '../plots/histogram.js';
import { binsOf } from '../plots/histogram-bins.js';
import { Finding, Slider } from './finding.js';
import type { AnalyzedImage } from './use-image-analysis.js';

/** In percent of white. */
const DEFAULT_DARK = 12;
const DEFAULT_BRIGHT = 92;

/** In percent; see `sharpnessOf`. */
const DEFAULT_BLURRED = 25;
const MAX_SHARPNESS = 200;

interface FindingsProps {
  readonly datasetId: string;
  readonly analyzed: readonly AnalyzedImage[];
}

/** Images that are very dark, and those that are very bright. */
export const BrightnessFindings = memo(function BrightnessFindings({ datasetId, analyzed }: FindingsProps) {
  const [maxDark, setMaxDark] = useState(DEFAULT_DARK);
  const [minBright, setMinBright] = useState(DEFAULT_BRIGHT);
  const bins = useMemo(() => binsOf(valuesOf(analyzed, 'brightness'), { from: 0, to: 100, bins: 50 }), [analyzed]);
  const darkImages = useMemo(() => flagged(analyzed, 'brightness', (value) => value < maxDark), [analyzed, maxDark]);
  const brightImages = useMemo(
    () => flagged(analyzed, 'brightness', (value) => value > minBright).reverse(),
    [analyzed, minBright],
  );
  return (
    <Finding
      title="Very dark or very bright"
      count={darkImages.length + brightImages.length}
      none="None."
      summary={`${countOf(darkImages.length, 'image')} darker than ${maxDark} %, ${countOf(brightImages.length, 'image')} brighter than ${minBright} %.`}
      controls={
        <div className="grid items-center gap-4 lg:grid-cols-2">
          <Histogram
            title="Mean brightness"
            summary={`${countOf(analyzed.length, 'image')} from black at 0 % to white at 100 %.`}
            bins={bins}
            ticks={[0, 25, 50, 75, 100].map((at) => ({ at, label: `${at} %` }))}
            thresholds={[maxDark, minBright]}
            isHighlighted={({ from, to }) => to <= maxDark || from >= minBright}
            head={['Brightness', 'Images']}
            rangeOf={({ from, to }) => `${from} to ${to} %`}
          />
          <div className="flex flex-col gap-2">
            <Slider label="Dark" value={maxDark} onChange={setMaxDark} min={0} max={50} text={`below ${maxDark} %`} />
            <Slider
              label="Bright"
              value={minBright}
              onChange={setMinBright}
              min={50}
              max={100}
              text={`above ${minBright} %`}
            />
          </div>
        </div>
      }
    >
      {darkImages.length > 0 && <FlaggedImages datasetId={datasetId} label="Dark images" flagged={darkImages} />}
      {brightImages.length > 0 && <FlaggedImages datasetId={datasetId} label="Bright images" flagged={brightImages} />}
    </Finding>
  );
});

/** Images without fine detail. */
export const SharpnessFindings = memo(function SharpnessFindings({ datasetId, analyzed }: FindingsProps) {
  const [minSharpness, setMinSharpness] = useState(DEFAULT_BLURRED);
  const bins = useMemo(
    () => binsOf(valuesOf(analyzed, 'sharpness'), { from: 0, to: MAX_SHARPNESS, bins: 50 }),
    [analyzed],
  );
  const blurred = useMemo(
    () => flagged(analyzed, 'sharpness', (value) => value < minSharpness),
    [analyzed, minSharpness],
  );
  return (
    <Finding
      title="Blurred"
      count={blurred.length}
      none="None."
      summary={`${countOf(blurred.length, 'image')} with a sharpness below ${minSharpness} %, even in the sharpest part. Smooth drawings score low as well.`}
      controls={
        <div className="grid items-center gap-4 lg:grid-cols-2">
          <Histogram
            title="Sharpness"
            summary={`${countOf(analyzed.length, 'image')}; photographs in focus score 60 % and more.`}
            bins={bins}
            ticks={[0, 50, 100, 150].map((at) => ({ at, label: `${at} %` })).concat({ at: 200, label: 'more' })}
            thresholds={[minSharpness]}
            isHighlighted={({ to }) => to <= minSharpness}
            head={['Sharpness', 'Images']}
            rangeOf={({ from, to }) => (to >= MAX_SHARPNESS ? `${from} % and more` : `${from} to ${to} %`)}
          />
          <Slider
            label="Blurred"
            value={minSharpness}
            onChange={setMinSharpness}
            min={0}
            max={100}
            text={`below ${minSharpness} %`}
          />
        </div>
      }
    >
      <FlaggedImages datasetId={datasetId} label="Blurred images" flagged={blurred} />
    </Finding>
  );
});

type Measure = 'brightness' | 'sharpness';

function valuesOf(analyzed: readonly AnalyzedImage[], measure: Measure): number[] {
  return analyzed.map(({ analysis }) => analysis[measure]);
}

/** The images with a matching value, lowest first. */
function flagged(
  analyzed: readonly AnalyzedImage[],
  measure: Measure,
  matches: (value: ImageAnalysis[Measure]) => boolean,
) {
  return analyzed
    .filter(({ analysis }) => matches(analysis[measure]))
    .sort((a, b) => a.analysis[measure] - b.analysis[measure])
    .map(({ file, analysis }) => ({
      file,
      detail: `${analysis[measure].toFixed(measure === 'sharpness' ? 0 : 1)} %`,
    }));
}
