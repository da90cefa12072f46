import type { DatasetFile } from '../../src/client/client.js';
import { durationOf } from '../ui/format.js';

/** `1024 × 768`, or `640 × 480 · 2.5 s · 24 fps`; what is not known is left out. */
export function mediaFactsOf({ width, height, duration_seconds, frames_per_second }: DatasetFile): string {
  return [
    width !== undefined && height !== undefined && `${width} × ${height}`,
    duration_seconds !== undefined && lengthOf(duration_seconds),
    frames_per_second !== undefined && `${Number(frames_per_second.toFixed(2))} fps`,
  ]
    .filter(Boolean)
    .join(' · ');
}

/** Of clips, which are short. */
function lengthOf(seconds: number): string {
  return seconds < 60 ? `${Number(seconds.toFixed(1))} s` : durationOf(seconds);
}

/** What browsers show, by the format that was found in the file; of the rest, few show a few. */
const SHOWN = new Set(['jpeg', 'png', 'webp', 'gif', 'bmp', 'avif', 'mp4', 'mov', 'webm']);

export function isShownByBrowsers({ format = '' }: Pick<DatasetFile, 'format'>): boolean {
  return SHOWN.has(format);
}
