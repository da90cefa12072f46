import type { Ffmpeg } from './ffmpeg.js';
import { byLine, type ClipFile, inputOptions, type RunLimits, runFfmpeg } from './run-ffmpeg.js';

/** A line of ffmpeg's `framecrc` format. Times are in seconds; `undefined` if the container has none. */
export interface ListedFrame {
  readonly dts: number | undefined;
  readonly pts: number | undefined;
  readonly seconds: number;
  readonly sizeBytes: number;
}

/** What ffmpeg says of a track. */
export interface ListedTrack {
  /** Its name for the codec: `mpeg4`. `undefined` if it knows none. */
  readonly codec: string | undefined;
  readonly width: number;
  readonly height: number;
}

const NO_TIME = '-9223372036854775808';

interface ListOptions extends RunLimits {
  readonly onFrame: (frame: ListedFrame) => void;
}

/** Lists the packets of the first video track as the container stores them, without decoding. `undefined` if that fails. */
export function listPackets(ffmpeg: Ffmpeg, file: ClipFile, options: ListOptions): Promise<ListedTrack | undefined> {
  return list(ffmpeg, [...inputOptions(file), '-c', 'copy', '-copyinkf'], options);
}

/** Lists the first frame that can be decoded. */
export async function firstDecoded(
  ffmpeg: Ffmpeg,
  file: ClipFile,
  limits: RunLimits,
): Promise<ListedFrame | undefined> {
  let first: ListedFrame | undefined;
  const onFrame = (frame: ListedFrame) => {
    first ??= frame;
  };
  const output = ['-frames:v', '1', '-enc_time_base', '-1'];
  await list(ffmpeg, [...inputOptions(file), ...output], { ...limits, onFrame });
  return first;
}

async function list(
  ffmpeg: Ffmpeg,
  args: readonly string[],
  { onFrame, ...limits }: ListOptions,
): Promise<ListedTrack | undefined> {
  const header = new Map<string, string>();
  let secondsPerTick = 0;
  const onOutput = byLine((line) => {
    const [, name = '', value = ''] = /^#(\w+) 0: (.*)$/.exec(line) ?? [];
    if (name !== '') header.set(name, value);
    if (name === 'tb') secondsPerTick = ratio(value);
    const fields = line.split(',').map((field) => field.trim());
    if (fields[0] !== '0' || fields.length < 6) return;
    const time = (text = '') => (text === NO_TIME ? undefined : Number(text) * secondsPerTick);
    const [, dts, pts, duration, size] = fields;
    onFrame({ dts: time(dts), pts: time(pts), seconds: time(duration) ?? 0, sizeBytes: Number(size) });
  });
  const end = await runFfmpeg(ffmpeg, ['-v', 'error', ...args, '-f', 'framecrc', 'pipe:1'], { ...limits, onOutput });
  const [width = 0, height = 0] = (header.get('dimensions') ?? '').split('x').map(Number);
  if (end.exitCode !== 0 || !header.has('tb')) return undefined;
  const codec = header.get('codec_id');
  return { codec: codec === 'none' ? undefined : codec, width, height };
}

/** `1/12800` */
function ratio(text: string): number {
  const [numerator = 0, denominator = 1] = text.split('/').map(Number);
  return numerator / denominator;
}
