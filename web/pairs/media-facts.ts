import type { DatasetFile } from '../../src/client/client.js';
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

/** The length of a clip, with a decimal below a minute. */
function lengthOf(seconds: number): string {
  return seconds < 60 ? `${Number(seconds.toFixed(1))} s` : durationOf(seconds);
}

/** Formats that all browsers display. */
const DISPLAYABLE = new Set(['jpeg', 'png', 'webp', 'gif', 'bmp', 'avif', 'mp4', 'mov', 'webm']);

export function isShownByBrowsers({ format = '' }: Pick<DatasetFile, 'format'>): boolean {
  return DISPLAYABLE.has(format);
}
