import type { DatasetFile } from '../../src/client/client.js';

/** Frames of a clip, counted or worked out from its length; `undefined` where neither is known. */
export function framesOf({
  frames,
  duration_seconds,
  frames_per_second,
}: Pick<DatasetFile, 'frames' | 'duration_seconds' | 'frames_per_second'>): number | undefined {
  if (frames !== undefined) return frames;
  if (duration_seconds === undefined || frames_per_second === undefined) return undefined;
  return Math.round(duration_seconds * frames_per_second);
}
