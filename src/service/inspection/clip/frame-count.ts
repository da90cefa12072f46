import { formatCount } from '../../../dataset/inspect/inspection-error.js';
import type { ProbedVideo } from './probe-clip.js';

/** Fewer are a frame or two at a cut, or a little sound after the last frame, which most clips have. */
const MIN_REPEATED_FRAMES = 2;
const MIN_REPEATED_SHARE = 0.05;
/** Frames that the trainer leaves out do no harm to the others. */
const MIN_OMITTED_SHARE = 1 / 3;
/** With fewer of its frames, the trainer would learn mostly one that is repeated. */
const MIN_READ_SHARE = 1 / 3;

const ADVICE = 'Export it again as an ordinary MP4 file, or convert it to one with ffmpeg, without "-c copy".';

/**
 * Whether far fewer frames can be read than the container lists. A duration is no such list: sound may be longer than the video, and
 * the frame rate variable. Neither is a number beyond the bytes of the file, as in an AVI that was written to a pipe.
 */
export function lacksFrames({ facts, listedFrames = 0 }: ProbedVideo, sizeBytes: number): boolean {
  return listedFrames <= sizeBytes && (facts.frames ?? 0) < MIN_READ_SHARE * listedFrames;
}

/** The rest of a sentence that begins with the name of a clip that lacks frames. */
export function shortageText({ facts: { frames = 0 }, listedFrames = 0 }: ProbedVideo): string {
  const counts = `only ${formatCount(frames)} of the ${formatCount(listedFrames)} frames in its header can be read`;
  return `has lost frames: ${counts}, as after trimming, so the trainer would mostly repeat the last one. ${ADVICE}`;
}

/**
 * The trainer spreads the frames that it reads over the number that OpenCV takes from the header (ai-toolkit
 * `toolkit/dataloader_mixins.py`, `load_and_process_video`), and in place of one that is not there reads one before it.
 *
 * @returns the rest of a sentence that begins with the name of the clip; `undefined` if the number is right
 */
export function doubtAboutFrameCount({ facts: { frames = 0 }, countedFrames }: ProbedVideo): string | undefined {
  if (frames < 2) return undefined;
  if (countedFrames === 0)
    return `has no duration in its header, so the trainer would read its first frame alone. ${ADVICE}`;
  const counts = `has ${formatCount(frames)} frames that can be read, but the trainer counts ${formatCount(countedFrames)} by its header`;
  const repeated = countedFrames - frames;
  if (repeated >= MIN_REPEATED_FRAMES && repeated >= MIN_REPEATED_SHARE * frames)
    return `${counts}, and would repeat some of them. ${ADVICE}`;
  if (-repeated < MIN_OMITTED_SHARE * frames) return undefined;
  return `${counts}, and would leave out the last ones. ${ADVICE}`;
}
