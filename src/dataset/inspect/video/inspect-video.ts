import { mediaTypeOf, mediaTypeOfContent, type VideoFormat } from '../../media.js';
import { type Warning, warningIn } from '../../problems.js';
import type { FileBytes } from '../byte-source.js';
import { contentDiffers, type DetectedContent } from '../detect-content.js';
import type { Inspection } from '../inspection.js';
import { formatCount, InspectionError } from '../inspection-error.js';
import { requireWholeAsf } from './asf.js';
import { readAvi } from './avi.js';
import { shownName } from './codec/video-codecs.js';
import { readFlv } from './flv.js';
import { readMatroska } from './matroska/matroska.js';
import { readMp4 } from './mp4.js';
import { type Movie, type Track, videoFactsOf } from './video-facts.js';

const PARSERS: Partial<Record<VideoFormat, (file: FileBytes) => Movie>> = {
  mp4: readMp4,
  mov: readMp4,
  webm: readMatroska,
  mkv: readMatroska,
};

/** Of containers of which the frames are counted only. */
const COUNTERS: Partial<Record<VideoFormat, (file: FileBytes) => Pick<Track, 'frames' | 'declaredFrames'>>> = {
  avi: readAvi,
  flv: readFlv,
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
  const warnOf = (doubt: string | undefined): void => {
    if (doubt !== undefined) warnings.push(warningIn(filename, 'WRONG_DURATION', `${shown} ${doubt}`));
  };
  if (parse === undefined) {
    const count = COUNTERS[format];
    if (count === undefined) requireWholeAsf(file);
    else warnOf(doubtAboutFrameCount(count(file)));
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
  warnOf(doubtAboutFrameCount(video) ?? doubtAboutHiddenFrames(video));
  return { ok: true, contentType, facts: { kind: 'video', format, ...facts }, warnings };
}

/** Fewer are a frame or two at a cut, or a little sound after the last frame, which most clips have. */
const MIN_REPEATED_FRAMES = 2;
const MIN_REPEATED_SHARE = 0.05;
/** Frames that the trainer leaves out do no harm to the others, and VP8 has hidden ones, which no reader counts. */
const MIN_OMITTED_SHARE = 1 / 3;

const MP4_ADVICE = 'Export it again as an ordinary MP4 file, or convert it to one with ffmpeg.';

/**
 * The trainer spreads the frames that it reads over the number that OpenCV takes from the header (ai-toolkit
 * `toolkit/dataloader_mixins.py`, `load_and_process_video`), and in place of one that is not there reads one before it.
 */
function doubtAboutFrameCount({
  frames,
  declaredFrames,
}: Pick<Track, 'frames' | 'declaredFrames'>): string | undefined {
  if (declaredFrames === undefined || frames < 2) return undefined;
  if (declaredFrames === 0)
    return `has no duration in its header, so the trainer would read its first frame alone. ${MP4_ADVICE}`;
  const counts = `has ${formatCount(frames)} frames, but the trainer counts ${formatCount(declaredFrames)} by its header`;
  if (isRepeated(declaredFrames - frames, frames)) return `${counts}, and would repeat some of them. ${MP4_ADVICE}`;
  if (frames - declaredFrames < MIN_OMITTED_SHARE * frames) return undefined;
  return `${counts}, and would leave out the last ones. ${MP4_ADVICE}`;
}

const isRepeated = (repeated: number, frames: number): boolean =>
  repeated >= MIN_REPEATED_FRAMES && repeated >= MIN_REPEATED_SHARE * frames;

/** OpenCV counts the frames that an edit list hides, and does not read them: the trainer repeats the last one in their place. */
function doubtAboutHiddenFrames({ frames, hiddenFrames = 0 }: Track): string | undefined {
  if (!isRepeated(hiddenFrames, frames)) return undefined;
  return `has ${frames} frames, of which its edit list hides ${hiddenFrames}, as after trimming. The trainer counts these, and would repeat the last frame in their place. Export it again, or convert it with ffmpeg, without "-c copy".`;
}

function notDecoded(shown: string, { codec, codecName }: Track): string {
  const advice = 'To have every frame checked, install ffmpeg on the machine that checks it.';
  if (codec !== undefined) return `${shown} has a complete structure, but its frames were not decoded. ${advice}`;
  const name = shownName(codecName);
  return `${shown} has the codec ${name}, which is unknown here: the trainer may not be able to read it. ${advice}`;
}
