import type { DatasetFile } from '../../src/client/client.js';

/** Number of frames of a clip: counted, or else computed from its length; `undefined` if that is unknown. */
export function framesOf({
  frames,
  duration_seconds,
  frames_per_second,
}: Pick<DatasetFile, 'frames' | 'duration_seconds' | 'frames_per_second'>): number | undefined {
  if (frames !== undefined) return frames;
  if (duration_seconds === undefined || frames_per_second === undefined) return undefined;
  return Math.round(duration_seconds * frames_per_second);
}
