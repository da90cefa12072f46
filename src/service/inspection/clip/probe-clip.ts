import type { Facts } from '../../../dataset/inspect/inspection.js';
import type { VideoFormat } from '../../../dataset/media.js';
import type { Ffmpeg } from './ffmpeg.js';
import { type FfprobeEnd, type RunLimits, runFfprobe } from './run-ffprobe.js';

type ClipFacts = Omit<Extract<Facts, { kind: 'video' }>, 'kind' | 'format'>;

/** The name of FFmpeg's demuxer for each container. It is named so that no file is read as a playlist. */
const DEMUXERS: Record<VideoFormat, string> = {
  mp4: 'mov',
  mov: 'mov',
  webm: 'matroska',
  mkv: 'matroska',
  avi: 'avi',
  wmv: 'asf',
  flv: 'flv',
};

const STREAM_FIELDS = 'index,codec_name,width,height,nb_frames,nb_read_frames,r_frame_rate,avg_frame_rate,duration';

/** A local clip and the container that was found in it. */
export interface ClipFile {
  readonly path: string;
  readonly format: VideoFormat;
}

/** The first video track of a clip, as ffprobe describes it. */
export interface ProbedVideo {
  readonly facts: ClipFacts;
  /** The number of frames that the container states; `undefined` if it states none. */
  readonly listedFrames: number | undefined;
  /** The number that OpenCV derives: the listed one, or the duration in frames. 0 without a duration. */
  readonly countedFrames: number;
  /** False for a codec that ffprobe knows by its name alone. */
  readonly hasDecoder: boolean;
}

/** The result of ffprobe. */
export interface Probe extends Pick<FfprobeEnd, 'ended'> {
  readonly hasAudio: boolean;
  /** `undefined` if no video track was found. Pictures that are attached to a sound file are none. */
  readonly video: ProbedVideo | undefined;
  /** The messages of errors in the container or its video. */
  readonly complaints: readonly string[];
}

/**
 * Reads the facts of a clip and, with `decodes`, decodes every frame of its first video track, with edit lists applied, as the
 * trainer's readers do. Each damaged packet is reported and skipped, so that `facts.frames` are those that can be read. Only the
 * container in which the bytes were found is opened, and only this file: no data is taken from others that it names.
 *
 * @throws as `runFfprobe`
 */
export async function probeClip(
  ffmpeg: Ffmpeg,
  { path, format }: ClipFile,
  { decodes, ...limits }: RunLimits & { decodes: boolean },
): Promise<Probe> {
  const demuxer = DEMUXERS[format];
  const end = await runFfprobe(
    ffmpeg,
    [
      ...['-v', 'level+info', '-of', 'json', '-select_streams', 'V:0'],
      ...['-show_entries', `stream=${STREAM_FIELDS}:stream_side_data=rotation:format=duration`],
      ...(decodes ? ['-count_frames', '-err_detect', 'explode+crccheck'] : []),
      ...['-threads', '1', '-protocol_whitelist', 'file', '-format_whitelist', demuxer, '-f', demuxer],
      ...(demuxer === 'mov' ? ['-enable_drefs', '0', '-use_absolute_path', '0'] : []),
      `file:${path}`,
    ],
    limits,
  );
  const streams = otherStreams(end.messages);
  return {
    ended: end.ended,
    hasAudio: streams.hasAudio,
    video: end.exitCode === 0 ? videoIn(end, streams) : undefined,
    complaints: complaintsIn(end.messages, streams.decoders),
  };
}

/** `[info]   Stream #0:1(und): Audio: mp3 (mp3float), 44100 Hz` */
const OTHER_STREAM = /^\[info\] +Stream #0:\d+.*?: (Audio|Subtitle|Data): (\w+)(?: \((\w+)\))?/;

/** The streams that are no video, as ffprobe lists them at its start. */
function otherStreams(messages: readonly string[]): { hasAudio: boolean; decoders: ReadonlySet<string> } {
  const found = messages.flatMap((line) => {
    const [, kind, codec = '', decoder = ''] = OTHER_STREAM.exec(line) ?? [];
    return kind === undefined ? [] : [{ kind, names: [codec, decoder] }];
  });
  return {
    hasAudio: found.some(({ kind }) => kind === 'Audio'),
    decoders: new Set(found.flatMap(({ names }) => names)),
  };
}

/** `[h264 @ 0x55d1] [error] Invalid NAL unit size`, `[h264 @ 0x55d1] [info] concealing 85 DC, 85 AC, 85 MV errors in B frame` */
const COMPLAINT = /^(?:\[([^\]]*) @ 0x\w+\] )?\[(?:error|fatal|panic|info(?=\] concealing))\] (.*)$/;

/** Messages about tags, which are no part of the pictures. */
const ABOUT_METADATA = /metadata|\bAMF/i;

function complaintsIn(messages: readonly string[], decodersOfOthers: ReadonlySet<string>): string[] {
  return messages.flatMap((line) => {
    const [, component = '', text] = COMPLAINT.exec(line) ?? [];
    const isAboutVideo = text !== undefined && !decodersOfOthers.has(component) && !ABOUT_METADATA.test(text);
    return isAboutVideo ? [text] : [];
  });
}

interface Described {
  readonly streams?: readonly (Readonly<Record<string, string | number | undefined>> & {
    readonly side_data_list?: readonly { readonly rotation?: number }[];
  })[];
  readonly format?: { readonly duration?: string };
}

function videoIn(
  { output, messages }: Pick<FfprobeEnd, 'output' | 'messages'>,
  { hasAudio }: { hasAudio: boolean },
): ProbedVideo | undefined {
  const { streams, format } = JSON.parse(output) as Described;
  const stream = streams?.[0];
  if (stream === undefined) return undefined;
  const [width, height] = [numberIn(stream.width), numberIn(stream.height)];
  const frames = numberIn(stream.nb_read_frames);
  const listedFrames = numberIn(stream.nb_frames) || undefined;
  const framesPerSecond = ratio(stream.avg_frame_rate) || ratio(stream.r_frame_rate);
  const declaredSeconds = numberIn(format?.duration);
  const seconds = numberIn(stream.duration) || declaredSeconds || (framesPerSecond > 0 ? frames / framesPerSecond : 0);
  const isTurned = stream.side_data_list?.some(({ rotation = 0 }) => Math.abs(rotation) % 180 === 90) === true;
  const facts = {
    ...(width > 0 && height > 0 && (isTurned ? { width: height, height: width } : { width, height })),
    ...(seconds > 0 && { durationSeconds: rounded(seconds) }),
    ...(frames > 0 && { frames }),
    ...(framesPerSecond > 0 && { framesPerSecond: rounded(framesPerSecond) }),
    ...codecOf(stream.codec_name),
    hasAudio,
  };
  // OpenCV 4.10, `CvCapture_FFMPEG::get_total_frames`.
  const countedFrames = listedFrames ?? Math.floor(declaredSeconds * ratio(stream.r_frame_rate) + 0.5);
  const noDecoder = new RegExp(`Unsupported codec with id \\d+ for input stream ${stream.index}$`);
  return { facts, listedFrames, countedFrames, hasDecoder: !messages.some((line) => noDecoder.test(line)) };
}

/** Our name for H.264 is mediabunny's. Absent if ffprobe knows no codec. */
function codecOf(name: string | number | undefined): { codec?: string } {
  if (typeof name !== 'string' || name === 'none' || name === 'unknown') return {};
  return { codec: name === 'h264' ? 'avc' : name };
}

function numberIn(value: string | number | undefined): number {
  const number = Number(value ?? 0);
  return Number.isFinite(number) && number > 0 ? number : 0;
}

/** `30000/1001`; 0 if it is unknown: `0/0`. */
function ratio(text: string | number | undefined): number {
  const [numerator = 0, denominator = 1] = String(text ?? '0')
    .split('/')
    .map(Number);
  return numerator > 0 && denominator > 0 ? numerator / denominator : 0;
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
