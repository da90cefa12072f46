import type { Facts } from '../../../dataset/inspect/inspection.js';

type VideoFacts = Extract<Facts, { kind: 'video' }>;

/**
 * Megapixels that one core decodes in a second. Measured with ffmpeg 7.1 at 1920 × 1080: H.264 150, HEVC 100 and AV1 68 frames
 * a second. The names are those of mediabunny and of the containers.
 */
const MEGAPIXELS_PER_SECOND: readonly (readonly [codec: RegExp, megapixels: number])[] = [
  [/avc|h264/i, 310],
  [/hevc|hvc1|hev1/i, 205],
  [/vp0?[89]/i, 200],
  [/av0?1/i, 140],
];
const OTHER_MEGAPIXELS_PER_SECOND = 100;

/** Entropy-coded data that one core decodes in a second: the bound for clips of a high bit rate. */
const BYTES_PER_SECOND = 15_000_000;

/** The same for clips whose number and size of frames are unknown, which may have a low bit rate. */
const UNKNOWN_BYTES_PER_SECOND = 1_500_000;

const START_SECONDS = 0.1;

/** The processor time that decoding all frames of a clip is expected to take, by its structure. */
export function expectedDecodeSeconds({
  sizeBytes,
  inspection: { facts },
}: {
  readonly sizeBytes: number;
  readonly inspection: { readonly facts: Facts };
}): number {
  if (facts.kind !== 'video') return 0;
  const megapixels = megapixelsOf(facts);
  if (megapixels === 0) return START_SECONDS + sizeBytes / UNKNOWN_BYTES_PER_SECOND;
  return START_SECONDS + Math.max(sizeBytes / BYTES_PER_SECOND, megapixels / megapixelsPerSecond(facts.codec ?? ''));
}

function megapixelsOf({ frames = 0, width = 0, height = 0 }: VideoFacts): number {
  return (frames * width * height) / 1_000_000;
}

function megapixelsPerSecond(codec: string): number {
  return MEGAPIXELS_PER_SECOND.find(([name]) => name.test(codec))?.[1] ?? OTHER_MEGAPIXELS_PER_SECOND;
}
