import type { ProbedVideo } from './probe-clip.js';

/**
 * Megapixels that one core decodes in a second. Measured with ffmpeg 7.1 at 1920 × 1080: H.264 150, HEVC 100 and AV1 68 frames
 * a second. The names are those of the facts.
 */
const MEGAPIXELS_PER_SECOND: Readonly<Record<string, number>> = { avc: 310, hevc: 205, vp8: 200, vp9: 200, av1: 140 };
const OTHER_MEGAPIXELS_PER_SECOND = 100;

/** Entropy-coded data that one core decodes in a second: the bound for clips of a high bit rate. */
const BYTES_PER_SECOND = 15_000_000;

/** The same for clips whose number and size of frames are unknown, which may have a low bit rate. */
const UNKNOWN_BYTES_PER_SECOND = 1_500_000;

const START_SECONDS = 0.1;

/** The least processor time that decoding a clip of this size takes. */
export function leastDecodeSeconds(sizeBytes: number): number {
  return START_SECONDS + sizeBytes / BYTES_PER_SECOND;
}

/** The processor time that decoding all frames of a clip is expected to take, by its header. */
export function expectedDecodeSeconds(sizeBytes: number, video: ProbedVideo | undefined): number {
  const { facts: { width = 0, height = 0, codec = '' } = {}, countedFrames = 0 } = video ?? {};
  // A number of frames that the bytes can't hold, as in an AVI that was written to a pipe, says nothing.
  const frames = countedFrames > sizeBytes ? 0 : countedFrames;
  const megapixels = (frames * width * height) / 1_000_000;
  if (megapixels === 0) return START_SECONDS + sizeBytes / UNKNOWN_BYTES_PER_SECOND;
  const megapixelsPerSecond = MEGAPIXELS_PER_SECOND[codec] ?? OTHER_MEGAPIXELS_PER_SECOND;
  return Math.max(leastDecodeSeconds(sizeBytes), START_SECONDS + megapixels / megapixelsPerSecond);
}
