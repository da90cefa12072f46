import type { Facts } from '../inspection.js';
import { StructureError } from '../inspection-error.js';
import type { VideoCodec } from './codec/video-codecs.js';

/** A track by the structure of its container. `frames` are counted in the file, not taken from a header. */
export interface Track {
  readonly kind: 'video' | 'audio' | 'other';
  frames: number;
  /** The duration of its frames; 0 if unknown. */
  seconds: number;
  /** Those of `frames` that an edit list leaves out. */
  readonly hiddenFrames?: number;
  /** The number of frames that OpenCV takes from the header, or derives from the durations in it; 0 without any. */
  readonly declaredFrames?: number | undefined;
  /** Of the first video track; `undefined` if its name is unknown here. */
  readonly codec: VideoCodec | undefined;
  /** The container's name for it: `avc1`, `V_VP9`. */
  readonly codecName: string;
  /** In pixels, after rotation; 0 if unknown. */
  readonly width: number;
  readonly height: number;
}

/** The result of the check of a container's structure. */
export interface Movie {
  readonly tracks: readonly Track[];
  readonly durationSeconds: number;
}

type VideoFacts = Omit<Extract<Facts, { kind: 'video' }>, 'kind' | 'format'>;

/** The codecs that facts call by the same name in each container. */
const COMMON: readonly (VideoCodec | undefined)[] = ['avc', 'hevc', 'vvc', 'av1', 'vp8', 'vp9', 'prores'];

/** @throws StructureError if the video track has no frames */
export function videoFactsOf(movie: Movie, video: Track): VideoFacts {
  if (video.frames === 0) throw new StructureError('is damaged: its video track has no frames');
  const { codec, codecName, frames, seconds, width, height } = video;
  const { durationSeconds } = movie;
  const framesPerSecond = frames / seconds;
  return {
    ...(Number.isFinite(durationSeconds) ? { durationSeconds: rounded(durationSeconds) } : {}),
    frames,
    ...(seconds > 0 && Number.isFinite(framesPerSecond) ? { framesPerSecond: rounded(framesPerSecond) } : {}),
    hasAudio: movie.tracks.some((track) => track.kind === 'audio' && track.frames > 0),
    ...(width > 0 && height > 0 ? { width, height } : {}),
    codec: codec !== undefined && COMMON.includes(codec) ? codec : codecName,
  };
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
