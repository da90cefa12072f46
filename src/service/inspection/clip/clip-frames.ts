import type { VideoFormat } from '../../../dataset/media.js';
import type { InspectionPool } from '../inspection-pool.js';
import type { Ffmpeg } from './ffmpeg.js';
import { inputOptions, runClipProgram } from './probe-clip.js';

/** As for the proof of a large clip. */
const MAX_BYTES = 220_000_000;
const MAX_CPU_SECONDS = 120;

/** Of a frame, in pixels: several share the context of a model. */
const MAX_SIDE = 768;

const MAX_OUTPUT_BYTES = 16_000_000;

export interface ClipFrames {
  /** JPEG. */
  readonly frames: readonly Buffer[];
  /** In seconds. */
  readonly times: readonly number[];
}

/** A stored clip. */
export interface FramedClip {
  readonly path: string;
  readonly format: VideoFormat;
  readonly durationSeconds: number;
}

/** Makes evenly spaced frames of a clip, upright and reduced; `undefined` if it can't be decoded within its limits. @throws the signal's reason */
export async function clipFrames(
  ffmpeg: Ffmpeg,
  pool: Pick<InspectionPool, 'runInSlot'>,
  { path, format, durationSeconds }: FramedClip,
  { count, accountId, signal }: { count: number; accountId: string; signal: AbortSignal },
): Promise<ClipFrames | undefined> {
  const step = durationSeconds / count;
  const side = (name: string) => `'min(${MAX_SIDE},${name})'`;
  const filters = `fps=${1 / step}:round=up,scale=${side('iw')}:${side('ih')}:force_original_aspect_ratio=decrease`;
  const args = [
    ...['-hide_banner', '-v', 'level+error', '-nostdin', ...inputOptions(format), '-i', `file:${path}`],
    ...['-map', '0:V:0', '-an', '-sn'],
    ...['-vf', filters, '-frames:v', `${count}`, '-c:v', 'mjpeg', '-pix_fmt', 'yuvj420p', '-q:v', '3'],
    ...['-threads', '1', '-f', 'image2pipe', 'pipe:1'],
  ];
  const limits = { maxBytes: MAX_BYTES, maxCpuSeconds: MAX_CPU_SECONDS, maxOutputBytes: MAX_OUTPUT_BYTES };
  const request = { accountId, isBackground: true, needsMuchMemory: true, signal };
  const { output } = await pool.runInSlot(request, (own) =>
    runClipProgram(ffmpeg.path, args, { ...limits, signal: own }),
  );
  const frames = jpegsIn(output);
  return frames.length === 0 ? undefined : { frames, times: frames.map((_, i) => Math.round(i * step * 10) / 10) };
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
