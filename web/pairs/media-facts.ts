import type { DatasetFile } from '../../src/client/client.js';
import { mediaTypeOf } from '../../src/dataset/media.js';
import { durationOf } from '../ui/format.js';

/** `1024 × 768`, or `640 × 480 · 2.5 s · 24 fps`. Leaves unknown facts out. */
export function mediaFactsOf({ width, height, duration_seconds, frames_per_second }: DatasetFile): string {
  return [
    width !== undefined && height !== undefined && `${width} × ${height}`,
    duration_seconds !== undefined && lengthOf(duration_seconds),
    frames_per_second !== undefined && `${Number(frames_per_second.toFixed(2))} fps`,
  ]
    .filter(Boolean)
    .join(' · ');
}

/** `aac · 48 kHz · stereo · 1.2 s longer than the picture`, `none`, or nothing if it is not known. */
export function soundOf({ has_audio, audio = {}, duration_seconds }: DatasetFile): string {
  if (has_audio !== true) return has_audio === false ? 'none' : '';
  const { codec, sample_rate, channels } = audio;
  const more = (audio.duration_seconds ?? 0) - (duration_seconds ?? 0);
  const isOther = audio.duration_seconds && duration_seconds && Math.abs(more) >= 0.1;
  const facts = [
    codec,
    sample_rate && `${Number((sample_rate / 1000).toFixed(2))} kHz`,
    channels && (channels === 1 ? 'mono' : channels === 2 ? 'stereo' : `${channels} channels`),
    isOther && `${lengthOf(Math.abs(more))} ${more > 0 ? 'longer' : 'shorter'} than the picture`,
  ].filter(Boolean);
  return facts.length === 0 ? 'yes' : facts.join(' · ');
}

/** The length of a clip, with a decimal below a minute. */
function lengthOf(seconds: number): string {
  return seconds < 60 ? `${Number(seconds.toFixed(1))} s` : durationOf(seconds);
}

/** Formats that all browsers display. */
const DISPLAYABLE = new Set(['jpeg', 'png', 'webp', 'gif', 'bmp', 'avif', 'mp4', 'mov', 'webm']);

export function isShownByBrowsers({ format = '' }: Pick<DatasetFile, 'format'>): boolean {
  return DISPLAYABLE.has(format);
}

/** Whether the trainer reads a picture or clip of this format. */
export function isTrainable({ filename, kind }: DatasetFile): boolean {
  return kind !== 'caption' && mediaTypeOf(filename)?.trainable === true;
}
