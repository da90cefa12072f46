import { memo, useMemo, useState } from 'react';
import { Link } from 'wouter';
import type { DatasetFile } from '../../src/client/client.js';
import { groupedBy } from '../../src/dataset/grouped-by.js';
import { FileLink } from '../live/file-link.js';
import { countOf, numberOf } from '../ui/format.js';
import { LongList } from '../ui/long-list.js';
import { Choices, Panel } from '../ui/panel.js';
import type { FilesProps } from './flagged-images.js';
import { binsOf, Histogram } from './plots/histogram.js';

/** Usual values of `num_frames` in a job; video models take 4n + 1 frames. */
const NUM_FRAMES = [33, 49, 81, 121] as const;

const BINS = 24;

/** The lengths of the clips, and the clips with fewer frames than a job needs. */
export const ClipPanel = memo(function ClipPanel({ datasetId, files }: FilesProps) {
  const [numFrames, setNumFrames] = useState<(typeof NUM_FRAMES)[number]>(81);
  const clips = useMemo(() => files.filter(({ kind }) => kind === 'video'), [files]);
  const seconds = useMemo(() => clips.flatMap((clip) => clip.duration_seconds ?? []), [clips]);
  const frames = useMemo(() => clips.flatMap((clip) => framesOf(clip) ?? []), [clips]);
  const short = useMemo(() => clips.filter((clip) => (framesOf(clip) ?? numFrames) < numFrames), [clips, numFrames]);
  if (clips.length === 0) return null;
  return (
    <Panel
      title="Clips"
      aside={<Choices label="num_frames" options={NUM_FRAMES} value={numFrames} onChange={setNumFrames} />}
    >
      <p className="max-w-prose text-sm text-muted">
        The trainer takes <code>num_frames</code> frames, spread evenly over the whole clip: it skips frames of a long
        clip and repeats frames of a short one. {frameRatesOf(clips)} <SoundOf datasetId={datasetId} clips={clips} />
      </p>
      <div className="grid gap-6 lg:grid-cols-2">
        {seconds.length > 0 && <LengthHistogram unit="seconds" values={seconds} />}
        {frames.length > 0 && <LengthHistogram unit="frames" values={frames} minimum={numFrames} />}
      </div>
      {frames.length < clips.length && (
        <p className="text-sm text-muted">
          The length of {countOf(clips.length - frames.length, 'clip')} is unknown: it can't be read from AVI, WMV and
          FLV.
        </p>
      )}
      {short.length > 0 && (
        <div className="flex flex-col gap-2">
          <p className="text-sm text-warn">
            {numberOf(short.length)} of {countOf(clips.length, 'clip')} {short.length === 1 ? 'has' : 'have'} fewer than{' '}
            {numFrames} frames.
          </p>
          <LongList isFramed label={`Clips of fewer than ${numFrames} frames`} items={short}>
            {(clip) => (
              <p className="flex gap-4 px-3 py-2 text-sm">
                <FileLink datasetId={datasetId} filename={clip.filename} className="mr-auto text-link wrap-anywhere" />
                <span className="shrink-0 text-muted">{countOf(framesOf(clip) ?? 0, 'frame')}</span>
              </p>
            )}
          </LongList>
        </div>
      )}
    </Panel>
  );
});

/** Number of frames of a clip: counted, or else computed from its length; `undefined` if that is unknown. */
function framesOf({ frames, duration_seconds, frames_per_second }: DatasetFile): number | undefined {
  if (frames !== undefined) return frames;
  if (duration_seconds === undefined || frames_per_second === undefined) return undefined;
  return Math.round(duration_seconds * frames_per_second);
}

/** `3 of 15 clips have sound.` */
function SoundOf({ datasetId, clips }: { datasetId: string; clips: readonly DatasetFile[] }) {
  const sounding = clips.filter(({ has_audio }) => has_audio === true).length;
  if (sounding === 0) return 'None is known to have sound.';
  return (
    <Link href={`/datasets/${datasetId}?q=has%3Aaudio`} className="text-link">
      {numberOf(sounding)} of {countOf(clips.length, 'clip')} {sounding === 1 ? 'has' : 'have'} sound.
    </Link>
  );
}

interface LengthHistogramProps {
  readonly unit: 'seconds' | 'frames';
  readonly values: readonly number[];
  readonly minimum?: number;
}

function LengthHistogram({ unit, values, minimum }: LengthHistogramProps) {
  const title = `Length in ${unit}`;
  const sorted = values.toSorted((a, b) => a - b);
  const [shortest = 0, median = 0, longest = 0] = [sorted[0], sorted[sorted.length >> 1], sorted.at(-1)];
  const end = Math.max(longest, minimum ?? 0);
  const bins = binsOf(values, { from: 0, to: end * 1.02, bins: BINS });
  const format = (value: number) => (unit === 'seconds' ? value.toFixed(1) : numberOf(Math.round(value)));
  return (
    <Histogram
      title={title}
      summary={`${countOf(values.length, 'clip')} from ${format(shortest)} to ${format(longest)} ${unit === 'seconds' ? 's' : unit}, median ${format(median)}.`}
      bins={bins}
      ticks={[0, 0.25, 0.5, 0.75, 1].map((part) => ({ at: end * part, label: format(end * part) }))}
      {...(minimum !== undefined && { thresholds: [minimum], isHighlighted: ({ to }) => to <= minimum })}
      head={[title, 'Clips']}
      rangeOf={({ from, to }) => `${format(from)} to ${format(to)}`}
    />
  );
}

/** `Frames per second: 24 (12 clips), 30 (3 clips).` */
function frameRatesOf(clips: readonly DatasetFile[]): string {
  const rates = groupedBy(
    clips.flatMap((clip) => clip.frames_per_second ?? []),
    (rate) => String(Math.round(rate * 100) / 100),
  );
  if (rates.size === 0) return '';
  const shown = [...rates].sort((a, b) => b[1].length - a[1].length).slice(0, 6);
  const list = shown.map(([rate, { length }]) => `${rate} (${countOf(length, 'clip')})`).join(', ');
  return `Frames per second: ${list}${rates.size > shown.length ? ' and others' : ''}.`;
}
