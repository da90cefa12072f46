import { memo, useMemo, useState } from 'react';
import { countOf } from '../../ui/format.js';
import { FlaggedImages } from '../flagged-images.js';
import type { Look } from '../image-analysis/image-analysis.js';
import { Histogram } from '../plots/histogram.js';
import { binsOf } from '../plots/histogram-bins.js';
import { Finding, Slider } from './finding.js';
import type { Seen } from './use-image-analysis.js';

const USUAL_DARK = 12;
const USUAL_BRIGHT = 92;

/** See `sharpnessOf`, which says what the number means. */
const USUAL_BLUR = 25;
const MOST_SHARPNESS = 200;

interface FindingsProps {
  readonly datasetId: string;
  readonly seen: readonly Seen[];
}

/** Images that are very dark, and those that are very bright. */
export const BrightnessFindings = memo(function BrightnessFindings({ datasetId, seen }: FindingsProps) {
  const [dark, setDark] = useState(USUAL_DARK);
  const [bright, setBright] = useState(USUAL_BRIGHT);
  const bins = useMemo(() => binsOf(valuesOf(seen, 'brightness'), { from: 0, to: 100, bins: 50 }), [seen]);
  const darkOnes = useMemo(() => flagged(seen, 'brightness', (value) => value < dark), [seen, dark]);
  const brightOnes = useMemo(() => flagged(seen, 'brightness', (value) => value > bright).reverse(), [seen, bright]);
  return (
    <Finding
      title="Very dark or very bright"
      count={darkOnes.length + brightOnes.length}
      none="No image is."
      words={`${countOf(darkOnes.length, 'image')} darker than ${dark} %, ${countOf(brightOnes.length, 'image')} brighter than ${bright} %.`}
      controls={
        <div className="grid items-center gap-4 lg:grid-cols-2">
          <Histogram
            title="Mean brightness"
            summary={`${countOf(seen.length, 'image')} from black at 0 % to white at 100 %.`}
            bins={bins}
            ticks={[0, 25, 50, 75, 100].map((at) => ({ at, label: `${at} %` }))}
            thresholds={[dark, bright]}
            isRemarkable={({ from, to }) => to <= dark || from >= bright}
            table={{
              head: ['Brightness', 'Images'],
              rows: bins.filter(({ count }) => count > 0).map(({ from, to, count }) => [`${from} to ${to} %`, count]),
            }}
          />
          <div className="flex flex-col gap-2">
            <Slider label="Dark" value={dark} onChange={setDark} min={0} max={50} text={`below ${dark} %`} />
            <Slider label="Bright" value={bright} onChange={setBright} min={50} max={100} text={`above ${bright} %`} />
          </div>
        </div>
      }
    >
      {darkOnes.length > 0 && <FlaggedImages datasetId={datasetId} label="Dark images" flagged={darkOnes} />}
      {brightOnes.length > 0 && <FlaggedImages datasetId={datasetId} label="Bright images" flagged={brightOnes} />}
    </Finding>
  );
});

/** Images without any fine detail. */
export const SharpnessFindings = memo(function SharpnessFindings({ datasetId, seen }: FindingsProps) {
  const [blur, setBlur] = useState(USUAL_BLUR);
  const bins = useMemo(() => binsOf(valuesOf(seen, 'sharpness'), { from: 0, to: MOST_SHARPNESS, bins: 50 }), [seen]);
  const blurred = useMemo(() => flagged(seen, 'sharpness', (value) => value < blur), [seen, blur]);
  return (
    <Finding
      title="Blurred"
      count={blurred.length}
      none="No image is."
      words={`${countOf(blurred.length, 'image')} whose finest detail has less than ${blur} % of the contrast of the whole, even where it is sharpest. Smooth drawings are among them as well.`}
      controls={
        <div className="grid items-center gap-4 lg:grid-cols-2">
          <Histogram
            title="Sharpness"
            summary={`${countOf(seen.length, 'image')}; photographs in focus have 60 % and more.`}
            bins={bins}
            ticks={[0, 50, 100, 150].map((at) => ({ at, label: `${at} %` })).concat({ at: 200, label: 'more' })}
            thresholds={[blur]}
            isRemarkable={({ to }) => to <= blur}
            table={{
              head: ['Sharpness', 'Images'],
              rows: bins
                .filter(({ count }) => count > 0)
                .map(({ from, to, count }) => [
                  to >= MOST_SHARPNESS ? `${from} % and more` : `${from} to ${to} %`,
                  count,
                ]),
            }}
          />
          <Slider label="Blurred" value={blur} onChange={setBlur} min={0} max={100} text={`below ${blur} %`} />
        </div>
      }
    >
      <FlaggedImages datasetId={datasetId} label="Blurred images" flagged={blurred} />
    </Finding>
  );
});

type Measure = 'brightness' | 'sharpness';

function valuesOf(seen: readonly Seen[], measure: Measure): number[] {
  return seen.map(({ look }) => look[measure]);
}

/** Those of which it holds, the lowest first. */
function flagged(seen: readonly Seen[], measure: Measure, holds: (value: Look[Measure]) => boolean) {
  return seen
    .filter(({ look }) => holds(look[measure]))
    .sort((a, b) => a.look[measure] - b.look[measure])
    .map(({ file, look }) => ({ file, figure: `${look[measure].toFixed(measure === 'sharpness' ? 0 : 1)} %` }));
}
