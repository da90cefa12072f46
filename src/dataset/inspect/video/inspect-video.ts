import { mediaTypeOf, mediaTypeOfContent, type VideoFormat } from '../../media.js';
import { type Warning, warningIn } from '../../problems.js';
import type { FileBytes } from '../byte-source.js';
import { contentDiffers, type DetectedContent } from '../detect-content.js';
import type { Inspection } from '../inspection.js';
import { InspectionError } from '../inspection-error.js';
import { shownName } from './codec/video-codecs.js';
import { readMatroska } from './matroska.js';
import { readMp4 } from './mp4.js';
import { type Movie, type Track, videoFactsOf } from './video-facts.js';

const PARSERS: Partial<Record<VideoFormat, (file: FileBytes) => Movie>> = {
  mp4: readMp4,
  mov: readMp4,
  webm: readMatroska,
  mkv: readMatroska,
};

/**
 * Inspects a file with the extension of a video. Proves the structure of MP4, QuickTime, Matroska and WebM, and what the
 * beginnings of frames prove. No frame is decoded, which a warning says.
 *
 * @throws InspectionError, StructureError, and the operating system's errors.
 */
export function inspectVideo(
  file: FileBytes,
  named: { filename: string; shown: string },
  content: DetectedContent,
): Inspection {
  const { filename, shown } = named;
  if (content.kind !== 'video') {
    const message = `is ${content.description}, not a video. Upload the video itself under this name.`;
    throw new InspectionError('NOT_A_VIDEO', message);
  }
  const { format } = content;
  const { contentType } = mediaTypeOfContent(format, filename);
  const warnings: Warning[] = [];
  if (mediaTypeOf(filename)?.format !== format) warnings.push(contentDiffers(named, content));
  const parse = PARSERS[format];
  if (parse === undefined) {
    file.requireSize(declaredEnd(file, format));
    const advice = 'Convert it to MP4 to have all of it checked.';
    const message = `${shown} is ${content.description}, of which only the header is checked. ${advice}`;
    warnings.push(warningIn(filename, 'NOT_FULLY_CHECKED', message));
    return { ok: true, contentType, facts: { kind: 'video', format }, warnings };
  }
  const movie = parse(file);
  const video = movie.tracks.find(({ kind }) => kind === 'video');
  if (video === undefined) {
    const message = 'has no video track, so there is nothing to train on. Upload a file that has one.';
    throw new InspectionError('NOT_A_VIDEO', message);
  }
  const facts = videoFactsOf(movie, video);
  warnings.push(warningIn(filename, 'NOT_FULLY_CHECKED', notDecoded(shown, video)));
  const doubt = doubtAboutDuration(movie, video) ?? doubtAboutHiddenFrames(video);
  if (doubt !== undefined) warnings.push(warningIn(filename, 'WRONG_DURATION', `${shown} ${doubt}`));
  return { ok: true, contentType, facts: { kind: 'video', format, ...facts }, warnings };
}

/** How far the duration in the header may be from that of the frames: sound may be longer, and the last frame last long. */
const DURATION_FACTOR = 1.5;
const DURATION_SECONDS = 1;

const COPY_ADVICE = 'Export it again, or copy it with ffmpeg and the options "-c copy -shortest".';

/**
 * The trainer spreads the frames that it reads over the number that OpenCV derives from the duration (ai-toolkit
 * `toolkit/dataloader_mixins.py`, `load_and_process_video`). Without a duration that number is negative.
 */
function doubtAboutDuration(
  { headerSeconds }: Movie,
  { frames, seconds, frameSeconds = 0 }: Track,
): string | undefined {
  if (headerSeconds === undefined || frames < 2) return undefined;
  if (headerSeconds === 0)
    return `has no duration in its header, so the trainer would read its first frame alone. ${COPY_ADVICE}`;
  const clipSeconds = frameSeconds > 0 ? frames * frameSeconds : seconds;
  const [shorter, longer] = [headerSeconds, clipSeconds].sort((a, b) => a - b) as [number, number];
  if (longer <= DURATION_FACTOR * shorter + DURATION_SECONDS) return undefined;
  return `has frames for ${shownSeconds(clipSeconds)}, but its header says ${shownSeconds(headerSeconds)}, by which the trainer chooses the frames that it reads. ${COPY_ADVICE}`;
}

/** Fewer are a frame or two at a cut, which most clips that were cut have. */
const MIN_HIDDEN_FRAMES = 2;
const MIN_HIDDEN_SHARE = 0.05;

/** OpenCV counts the frames that an edit list hides, and does not read them: the trainer repeats the last one in their place. */
function doubtAboutHiddenFrames({ frames, hiddenFrames = 0 }: Track): string | undefined {
  if (hiddenFrames < MIN_HIDDEN_FRAMES || hiddenFrames < MIN_HIDDEN_SHARE * frames) return undefined;
  return `has ${frames} frames, of which its edit list hides ${hiddenFrames}, as after trimming. The trainer counts these, and would repeat the last frame in their place. Export it again, or convert it with ffmpeg, without "-c copy".`;
}

const shownSeconds = (seconds: number): string => `${seconds.toFixed(1)} s`;

function notDecoded(shown: string, { codec, codecName }: Track): string {
  const advice = 'To have every frame checked, install ffmpeg on the machine that checks it.';
  if (codec !== undefined) return `${shown} has a complete structure, but its frames were not decoded. ${advice}`;
  const name = shownName(codecName);
  return `${shown} has the codec ${name}, which is unknown here: the trainer may not be able to read it. ${advice}`;
}

/** The end of the whole AVI file, or of the ASF (WMV) or FLV header, by the header: only this much of these is checked. */
function declaredEnd(file: FileBytes, format: VideoFormat): number {
  if (format === 'avi') return 8 + file.at(4, 4).readUInt32LE(0);
  if (format === 'wmv') return Number(file.at(16, 8).readBigUInt64LE(0));
  return file.at(5, 4).readUInt32BE(0) + 4;
}
