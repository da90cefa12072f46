import type { MadeThumbnail } from '../../../dataset/inspect/image/thumbnail.js';
import type { InspectionPool, SlotRequest } from '../inspection-pool.js';
import type { Ffmpeg } from './ffmpeg.js';
import { type ClipFile, inputOptions, runClipProgram } from './probe-clip.js';

/** As for the proof of a large clip. */
const MAX_BYTES = 220_000_000;

/** Of a frame for a model, in pixels: several share its context. */
const MAX_SIDE = 768;

/** For a thumbnail: one frame of AV1 with 3840 × 2160 pixels takes a tenth. */
const MAX_FIRST_FRAME_SECONDS = 10;
const MAX_FRAMES_SECONDS = 120;

/** A picture of noise, in a form that is not compressed. */
const BYTES_PER_PIXEL = 3.1;
const MAX_FRAMES_BYTES = 16_000_000;

interface Tools {
  readonly ffmpeg: Ffmpeg;
  readonly pool: InspectionPool;
}

interface Decoding {
  /** Of ffmpeg, for the output. */
  readonly options: readonly string[];
  readonly limits: { readonly maxCpuSeconds: number; readonly maxOutputBytes: number };
  readonly request: Omit<SlotRequest, 'needsMuchMemory'>;
}

/** Makes evenly spaced frames of a clip, upright and reduced; `undefined` if it can't be decoded within its limits. @throws the signal's reason */
export async function clipFrames(
  tools: Tools,
  clip: ClipFile & { readonly durationSeconds: number },
  { count, accountId, signal }: { count: number; accountId: string; signal: AbortSignal },
): Promise<{ frames: readonly Buffer[]; times: readonly number[] } | undefined> {
  const step = clip.durationSeconds / count;
  const options = [
    ...['-vf', `fps=${1 / step}:round=up,${scaledTo(MAX_SIDE)}`, '-frames:v', `${count}`],
    ...['-c:v', 'mjpeg', '-pix_fmt', 'yuvj420p', '-q:v', '3'],
  ];
  const limits = { maxCpuSeconds: MAX_FRAMES_SECONDS, maxOutputBytes: MAX_FRAMES_BYTES };
  const request = { accountId, isBackground: true, signal };
  const { output } = await decoded(tools, clip, { options, limits, request });
  const frames = jpegsIn(output);
  return frames.length === 0 ? undefined : { frames, times: frames.map((_, i) => Math.round(i * step * 10) / 10) };
}

/** Makes the thumbnail of a clip from its first frame, upright. Rejects if the frame can't be decoded within the limits. */
export async function clipThumbnail(
  tools: Tools,
  { maxPixels, ...clip }: ClipFile & { readonly maxPixels: number },
  request: Omit<SlotRequest, 'needsMuchMemory'>,
): Promise<MadeThumbnail> {
  const options = ['-frames:v', '1', '-vf', scaledTo(maxPixels), '-c:v', 'png'];
  const limits = { maxCpuSeconds: MAX_FIRST_FRAME_SECONDS, maxOutputBytes: maxPixels * maxPixels * BYTES_PER_PIXEL };
  const { exitCode, output } = await decoded(tools, clip, { options, limits, request });
  if (exitCode !== 0 || output.length === 0) throw new Error("The first frame can't be decoded.");
  return tools.pool.thumbnail({ frame: output.toString('base64'), maxPixels }, request);
}

function scaledTo(pixels: number): string {
  return `scale=w='min(${pixels},iw)':h='min(${pixels},ih)':force_original_aspect_ratio=decrease`;
}

/** @throws the signal's reason; ServiceError `unavailable` if ffmpeg can't be started */
function decoded({ ffmpeg, pool }: Tools, { path, format }: ClipFile, { options, limits, request }: Decoding) {
  const args = [
    ...['-hide_banner', '-v', 'level+error', '-nostdin', ...inputOptions(format), '-i', `file:${path}`],
    ...['-map', '0:V:0', '-an', '-sn', ...options, '-threads', '1', '-f', 'image2pipe', 'pipe:1'],
  ];
  return pool.runInSlot({ ...request, needsMuchMemory: true }, (signal) =>
    runClipProgram(ffmpeg.path, args, { maxBytes: MAX_BYTES, ...limits, signal }),
  );
}

/** Splits at the end markers, which entropy-coded data never has (ITU-T T.81, B.1.1.5). */
function jpegsIn(output: Buffer): Buffer[] {
  const frames: Buffer[] = [];
  let start = 0;
  for (let end = output.indexOf('ffd9', 0, 'hex'); end !== -1; end = output.indexOf('ffd9', start, 'hex')) {
    frames.push(output.subarray(start, end + 2));
    start = end + 2;
  }
  return frames;
}
