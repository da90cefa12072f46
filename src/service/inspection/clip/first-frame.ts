import type { MadeThumbnail } from '../../../dataset/inspect/image/thumbnail.js';
import type { VideoFormat } from '../../../dataset/media.js';
import type { InspectionPool, SlotRequest } from '../inspection-pool.js';
import type { Ffmpeg } from './ffmpeg.js';
import { inputOptions, runClipProgram } from './probe-clip.js';

/** As for a clip with large frames. */
const MAX_BYTES = 220_000_000;

/** One frame of AV1 with 3840 × 2160 pixels takes a tenth. */
const MAX_CPU_SECONDS = 10;

/** A picture of noise, in a form that is not compressed. */
const BYTES_PER_PIXEL = 3.1;

/**
 * Makes the thumbnail of a clip from its first frame, upright. Rejects if the frame can't be decoded within the limits.
 *
 * @throws the signal's reason; ServiceError `unavailable` if ffmpeg can't be started
 */
export async function clipThumbnail(
  { ffmpeg, pool }: { readonly ffmpeg: Ffmpeg; readonly pool: Pick<InspectionPool, 'runInSlot' | 'thumbnail'> },
  { path, format, maxPixels }: { readonly path: string; readonly format: VideoFormat; readonly maxPixels: number },
  request: Omit<SlotRequest, 'needsMuchMemory'>,
): Promise<MadeThumbnail> {
  const inside = `scale=w='min(${maxPixels},iw)':h='min(${maxPixels},ih)':force_original_aspect_ratio=decrease`;
  const args = [
    ...['-hide_banner', '-nostdin', '-v', 'level+error', ...inputOptions(format), '-i', `file:${path}`],
    ...['-map', '0:V:0', '-frames:v', '1', '-vf', inside, '-threads', '1', '-c:v', 'png', '-f', 'image2pipe', 'pipe:1'],
  ];
  const maxOutputBytes = maxPixels * maxPixels * BYTES_PER_PIXEL;
  const limits = { maxBytes: MAX_BYTES, maxCpuSeconds: MAX_CPU_SECONDS, maxOutputBytes };
  const { exitCode, output } = await pool.runInSlot({ ...request, needsMuchMemory: true }, (signal) =>
    runClipProgram(ffmpeg.path, args, { ...limits, signal }),
  );
  if (exitCode !== 0 || output.length === 0) throw new Error("The first frame can't be decoded.");
  return pool.thumbnail({ frame: output.toString('base64'), maxPixels }, request);
}
