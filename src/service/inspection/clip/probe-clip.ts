import { constants } from 'node:os';
import { ServiceError } from '../../../dataset/errors.js';
import { type Facts, type Sound, statedFacts } from '../../../dataset/inspect/inspection.js';
import type { VideoFormat } from '../../../dataset/media.js';
import { type LimitName, setPriorityOf, spawnLimited, watchProcess } from '../limited-process.js';
import { type Ffmpeg, ffprobeOf } from './ffmpeg.js';

/** What a decoder may allocate between two comparisons with the limit. */
const SPARE_BYTES = 150_000_000;

/** The stack of each thread counts. The default of 8 MiB would be half of what a small clip needs. */
const STACK_KILOBYTES = 2048;

/** Its threads wait for the disk only. */
const MAX_SLEEP_SECONDS = 120;

/** A track takes less than a kilobyte. */
const MAX_OUTPUT_BYTES = 64 * 1024;
const MAX_MESSAGES = 1000;
const MAX_LINE_CHARACTERS = 1000;

/** FFmpeg's demuxers by container. */
const DEMUXERS: Record<VideoFormat, string> = {
  mp4: 'mov',
  mov: 'mov',
  webm: 'matroska',
  mkv: 'matroska',
  avi: 'avi',
  wmv: 'asf',
  flv: 'flv',
};

const SOUND_FIELDS = 'codec_name,sample_rate,channels,duration';
const STREAM_FIELDS = 'index,codec_name,width,height,nb_frames,nb_read_frames,r_frame_rate,avg_frame_rate,duration';

/** With a known container. */
export interface ClipFile {
  readonly path: string;
  readonly format: VideoFormat;
}

/** The first video track. */
export interface ProbedVideo {
  readonly facts: Omit<Extract<Facts, { kind: 'video' }>, 'kind' | 'format'>;
  /** `undefined` if the container states no number. */
  readonly listedFrames: number | undefined;
  /** As OpenCV counts: the listed number, or the duration in frames; 0 without a duration. */
  readonly countedFrames: number;
  /** False for a codec that ffprobe knows by name alone. */
  readonly hasDecoder: boolean;
}

export interface Probe {
  /** The limit for which it was killed; `crash` if another signal ended it. */
  readonly ended: LimitName | 'crash' | undefined;
  readonly hasAudio: boolean;
  /** `undefined` without a video track; a picture attached to a sound file is none. */
  readonly video: ProbedVideo | undefined;
  /** Errors in the container or its video. They vary from run to run, so they are searched and never shown. */
  readonly complaints: readonly string[];
}

export interface ProbeOptions {
  readonly decodes: boolean;
  readonly maxBytes: number;
  readonly maxCpuSeconds: number;
  readonly signal: AbortSignal;
}

/**
 * Reads the facts of a clip and, with `decodes`, decodes its first video track with edit lists applied, as the trainer's readers
 * do. Damaged packets are skipped, and no other file is opened.
 *
 * @throws the signal's reason; ServiceError `unavailable` if ffprobe can't be started
 */
export async function probeClip(ffmpeg: Ffmpeg, file: ClipFile, options: ProbeOptions): Promise<Probe> {
  const { ended, exitCode, output, messages } = await runClipProgram(
    ffprobeOf(ffmpeg.path),
    [
      ...['-select_streams', 'V:0', '-show_entries'],
      `stream=${STREAM_FIELDS}:stream_tags=DURATION:stream_side_data=rotation:format=duration`,
      ...(options.decodes ? ['-count_frames', '-err_detect', 'explode+crccheck'] : []),
      ...inputArguments(file),
    ],
    options,
  );
  const others = messages.flatMap((line) => {
    const [, kind, codec = '', decoder = ''] = OTHER_STREAM.exec(line) ?? [];
    return kind === undefined ? [] : [{ kind, names: [codec, decoder] }];
  });
  const decodersOfOthers = new Set(others.flatMap(({ names }) => names));
  const hasAudio = others.some(({ kind }) => kind === 'Audio');
  const video = exitCode === 0 ? videoIn(JSON.parse(output.toString()), messages, hasAudio) : undefined;
  const sound = video !== undefined && hasAudio ? await probeSound(ffmpeg, file, options) : undefined;
  return {
    ended,
    hasAudio,
    video: video && { ...video, facts: { ...video.facts, ...(sound && { sound }) } },
    complaints: messages.flatMap((line) => {
      const [, component = '', text] = COMPLAINT.exec(line) ?? [];
      const isAboutVideo = text !== undefined && !decodersOfOthers.has(component) && !ABOUT_METADATA.test(text);
      return isAboutVideo ? [text] : [];
    }),
  };
}

/** Options before an input: one thread, no other file is opened, and no file is read as a playlist. */
export function inputOptions(format: VideoFormat): string[] {
  const demuxer = DEMUXERS[format];
  return [
    ...['-threads', '1', '-protocol_whitelist', 'file', '-format_whitelist', demuxer, '-f', demuxer],
    ...(demuxer === 'mov' ? ['-enable_drefs', '0', '-use_absolute_path', '0'] : []),
  ];
}

function inputArguments({ path, format }: ClipFile): string[] {
  return ['-hide_banner', '-v', 'level+info', '-of', 'json', ...inputOptions(format), `file:${path}`];
}

/** A run of its own, since ffprobe decodes every stream that it shows. `undefined` if it is ended. */
async function probeSound(ffmpeg: Ffmpeg, file: ClipFile, options: ProbeOptions): Promise<Sound | undefined> {
  const fields = ['-select_streams', 'a:0', '-show_entries', `stream=${SOUND_FIELDS}:stream_tags=DURATION`];
  const args = [...fields, ...inputArguments(file)];
  const { exitCode, output } = await runClipProgram(ffprobeOf(ffmpeg.path), args, options);
  const stream = exitCode === 0 ? (JSON.parse(output.toString()) as Described).streams?.[0] : undefined;
  if (stream === undefined) return undefined;
  const [sampleRate, channels] = [numberIn(stream.sample_rate), numberIn(stream.channels)];
  const durationSeconds = numberIn(stream.duration) || secondsIn(stream.tags?.DURATION);
  return statedFacts({ codec: codecOf(stream.codec_name), sampleRate, channels, durationSeconds });
}

/** Tags may hold megabytes and are printed as `[info]`, as is what a decoder conceals in a picture. */
const LEFT_OUT = /\[(?:info|warning)\](?! +Stream #| Unsupported codec| concealing )/;

/** `[info]   Stream #0:1(und): Audio: mp3 (mp3float), 44100 Hz`: ffprobe lists the streams at its start. */
const OTHER_STREAM = /^\[info\] +Stream #0:\d+.*?: (Audio|Subtitle|Data): (\w+)(?: \((\w+)\))?/;

/** `[h264 @ 0x55d1] [error] Invalid NAL unit size`, `[h264 @ 0x55d1] [info] concealing 85 DC, 85 AC, 85 MV errors in B frame` */
const COMPLAINT = /^(?:\[([^\]]*) @ 0x\w+\] )?\[(?:error|fatal|panic|info(?=\] concealing))\] (.*)$/;

/** Tags are no part of the pictures. */
const ABOUT_METADATA = /metadata|\bAMF/i;

interface Described {
  readonly streams?: readonly (Readonly<Record<string, string | number | undefined>> & {
    readonly side_data_list?: readonly { readonly rotation?: number }[];
    readonly tags?: { readonly DURATION?: string };
  })[];
  readonly format?: { readonly duration?: string };
}

function videoIn({ streams, format }: Described, messages: readonly string[], hasAudio: boolean) {
  const stream = streams?.[0];
  if (stream === undefined) return undefined;
  const [width, height] = [numberIn(stream.width), numberIn(stream.height)];
  const frames = numberIn(stream.nb_read_frames);
  const listedFrames = numberIn(stream.nb_frames) || undefined;
  const framesPerSecond = ratio(stream.avg_frame_rate) || ratio(stream.r_frame_rate);
  const declaredSeconds = numberIn(format?.duration);
  // The duration of the file is that of its sound, if that is longer.
  const ownSeconds = numberIn(stream.duration) || secondsIn(stream.tags?.DURATION);
  const durationSeconds = ownSeconds || declaredSeconds || (framesPerSecond > 0 ? frames / framesPerSecond : 0);
  const isTurned = stream.side_data_list?.some(({ rotation = 0 }) => Math.abs(rotation) % 180 === 90) === true;
  const sides = width > 0 && height > 0 && (isTurned ? { width: height, height: width } : { width, height });
  const codec = codecOf(stream.codec_name);
  const facts = { ...statedFacts({ ...sides, durationSeconds, frames, framesPerSecond, codec }), hasAudio };
  // OpenCV 4.10, `CvCapture_FFMPEG::get_total_frames`.
  const countedFrames = listedFrames ?? Math.floor(declaredSeconds * ratio(stream.r_frame_rate) + 0.5);
  const noDecoder = new RegExp(`Unsupported codec with id \\d+ for input stream ${stream.index}$`);
  return { facts, listedFrames, countedFrames, hasDecoder: !messages.some((line) => noDecoder.test(line)) };
}

/** Our name for H.264 is mediabunny's. */
function codecOf(name: string | number | undefined): string | undefined {
  if (typeof name !== 'string' || name === 'none' || name === 'unknown') return undefined;
  return name === 'h264' ? 'avc' : name;
}

function numberIn(value: string | number | undefined): number {
  const number = Number(value ?? 0);
  return Number.isFinite(number) && number > 0 ? number : 0;
}

/** `00:00:02.051000000`, as Matroska states the length of a track; 0 without it. */
function secondsIn(text: string | undefined): number {
  const [hours, minutes, seconds] = (text ?? '').split(':').map(Number);
  return numberIn((hours ?? 0) * 3600 + (minutes ?? 0) * 60 + (seconds ?? 0));
}

/** `30000/1001`; 0 for `0/0`. */
function ratio(text: string | number | undefined): number {
  const [numerator = 0, denominator = 1] = String(text ?? '0')
    .split('/')
    .map(Number);
  return numerator > 0 && denominator > 0 ? numerator / denominator : 0;
}

/**
 * Runs ffprobe or ffmpeg with the lowest priority, without environment and input, and with limits.
 *
 * @throws the signal's reason; ServiceError `unavailable` if it can't be started
 */
export async function runClipProgram(
  program: string,
  args: readonly string[],
  options: Omit<ProbeOptions, 'decodes'> & { readonly maxOutputBytes?: number },
) {
  const { maxBytes, maxCpuSeconds, maxOutputBytes = MAX_OUTPUT_BYTES, signal } = options;
  signal.throwIfAborted();
  const stack = `ulimit -s ${STACK_KILOBYTES} 2>/dev/null; exec "$@"`;
  const child = spawnLimited(['/bin/sh', '-c', stack, 'sh', program, ...args], {
    // More than it may hold: a decoder that gets no memory often calls the clip invalid.
    limits: { maxDataBytes: maxBytes + SPARE_BYTES, maxCpuSeconds: Math.ceil(maxCpuSeconds) + 5 },
    env: { LC_ALL: 'C', AV_LOG_FORCE_NOCOLOR: '1', MALLOC_ARENA_MAX: '2' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  if (child.pid === undefined) throw cannotStart(await new Promise((resolve) => child.once('error', resolve)));
  child.on('error', () => {});
  setPriorityOf(child, constants.priority.PRIORITY_LOW);
  const chunks: Buffer[] = [];
  let outputBytes = 0;
  child.stdout?.on('data', (chunk: Buffer) => {
    if (outputBytes < maxOutputBytes) chunks.push(chunk);
    outputBytes += chunk.length;
  });
  const messages: string[] = [];
  let rest = '';
  child.stderr?.setEncoding('latin1').on('data', (text: string) => {
    const lines = (rest + text).split('\n').map((line) => line.slice(0, MAX_LINE_CHARACTERS));
    rest = lines.pop() ?? '';
    messages.push(...lines.filter((line) => !LEFT_OUT.test(line)).slice(0, MAX_MESSAGES - messages.length));
  });
  let exceeded: LimitName | undefined;
  const kill = () => child.kill('SIGKILL');
  const watch = watchProcess(child, { maxBytes, maxCpuSeconds, maxSleepSeconds: MAX_SLEEP_SECONDS }, (limit) => {
    exceeded = limit;
    kill();
  });
  signal.addEventListener('abort', kill, { once: true });
  const [exitCode, by] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) => {
    child.once('close', (code, by) => resolve([code, by]));
  });
  watch.stop();
  signal.removeEventListener('abort', kill);
  signal.throwIfAborted();
  if (exitCode === 126 || exitCode === 127) throw cannotStart(new Error(messages.join('\n')));
  // The kernel sends SIGKILL for the processor time.
  const crash = by === null ? undefined : by === 'SIGKILL' ? ('time' as const) : ('crash' as const);
  return {
    ended: exceeded ?? (isOutOfMemory(messages) ? 'memory' : crash),
    exitCode,
    output: Buffer.concat(chunks),
    messages,
  };
}

/** The texts of ENOMEM. A library in C++ or Rust aborts instead. */
function isOutOfMemory(messages: readonly string[]): boolean {
  const says = (pattern: RegExp) => messages.some((line) => pattern.test(line));
  if (says(/Cannot allocate memory|bad_alloc|memory allocation of/)) return true;
  // Said of impossible sizes, too.
  return says(/get_buffer\(\) failed/) && !says(/parameters invalid/);
}

function cannotStart(cause: unknown): ServiceError {
  const message = 'The server could not start ffmpeg to decode the clip. Send it again.';
  return new ServiceError('unavailable', message, { cause });
}
