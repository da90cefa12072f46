import { access } from 'node:fs/promises';
import { shownFilename } from '../../../dataset/inspect/inspect.js';
import type { Inspection } from '../../../dataset/inspect/inspection.js';
import { formatCount } from '../../../dataset/inspect/inspection-error.js';
import type { VideoFormat } from '../../../dataset/media.js';
import { type ErrorProblemCode, errorIn, type Warning, warningIn } from '../../../dataset/problems.js';
import type { ClipDecoder, ClipToDecode } from '../../dependencies.js';
import { CpuBudgetSpent, exceededText } from '../limited-process.js';
import type { InspectionPool } from '../inspection-pool.js';
import type { Ffmpeg } from './ffmpeg.js';
import { type Probe, type ProbedVideo, probeClip } from './probe-clip.js';

/** With larger frames, a decoder may need more memory than it gets. */
const MAX_SMALL_FRAME_PIXELS = 1920 * 1088;

/** Honest clips of 1920 × 1080 need less than 130 MB; of 3840 × 2160, 180 (H.264) to 320 MB (AV1 with 10 bits). */
const SMALL_BYTES = 150_000_000;
const LARGE_BYTES = 220_000_000;

/** Six times what one core needs for a clip of a low bit rate. */
const BASE_SECONDS = 60;
const SECONDS_PER_MEGABYTE = 4;
const MAX_BUDGET_SECONDS = 600;

/** A clip takes at least so long: entropy-coded data that a core decodes in a second, and the start of ffprobe. */
const BYTES_PER_SECOND = 15_000_000;
const START_SECONDS = 0.1;

/**
 * Makes the decoder of clips. It throws CpuBudgetSpent if the decode takes longer than a client waits, or needs the memory that
 * only one decoder at a time gets.
 *
 * @param baseSeconds only tests set it
 */
export function clipDecoder(
  ffmpeg: Ffmpeg,
  pool: Pick<InspectionPool, 'runInSlot'>,
  baseSeconds = BASE_SECONDS,
): ClipDecoder {
  return async (clip, { accountId, isBackground = false, maxSeconds = Infinity, signal }) => {
    const { path, sizeBytes, inspection } = clip;
    const { facts } = inspection;
    if (facts.kind !== 'video') return inspection;
    const file = { path, format: facts.format as VideoFormat };
    const seconds = baseSeconds + (sizeBytes / 1e6) * SECONDS_PER_MEGABYTE;
    const budgetSeconds = Math.min(Math.ceil(seconds), MAX_BUDGET_SECONDS);
    const maxCpuSeconds = Math.min(budgetSeconds, maxSeconds);
    const probe = (decodes: boolean, maxBytes: number) => {
      const request = { accountId, isBackground, needsMuchMemory: maxBytes > SMALL_BYTES, signal };
      return pool.runInSlot(request, (signal) => probeClip(ffmpeg, file, { decodes, maxBytes, maxCpuSeconds, signal }));
    };
    // A decode that would be ended is not begun.
    if (START_SECONDS + sizeBytes / BYTES_PER_SECOND > maxSeconds) throw new CpuBudgetSpent();
    let found = await probe(true, SMALL_BYTES);
    // A client would wait for the large decoders of other accounts.
    if (found.ended === 'memory' && maxSeconds < Infinity) throw new CpuBudgetSpent();
    if (found.ended === 'time' && maxSeconds < budgetSeconds) throw new CpuBudgetSpent();
    if (found.ended === 'memory') found = await probe(true, LARGE_BYTES);
    const { ended } = found;
    if (ended === undefined) return judge(clip, found, ffmpeg);
    const header = ended === 'memory' || ended === 'time' ? await probe(false, LARGE_BYTES) : found;
    const { width = 0, height = 0 } = header.video?.facts ?? {};
    const excess = exceededText(ended, { maxBytes: LARGE_BYTES, maxCpuSeconds });
    const isHonest = header.ended === undefined && (ended === 'time' || width * height > MAX_SMALL_FRAME_PIXELS);
    return isHonest ? undecoded(clip, header.video, `decoding them ${excess}`) : failed(clip, excess);
  };
}

/** @throws the system's error if the file is gone */
async function judge(clip: ClipToDecode, probe: Probe, ffmpeg: Ffmpeg): Promise<Inspection> {
  const { video, complaints } = probe;
  // A missing file is not damaged.
  if (video === undefined || complaints.length > 0) await access(clip.path);
  if (video === undefined && probe.hasAudio) {
    const text = 'has no video track, so there is nothing to train on';
    return rejected(clip, 'NOT_A_VIDEO', `${text}. Upload a file that has one.`);
  }
  if (video !== undefined && video.facts.codec === undefined) {
    // The trainer's readers use FFmpeg's code, and leave such a clip out.
    const text = 'has a codec that ffmpeg does not know';
    return rejected(clip, 'VIDEO_CORRUPT', `${text}. It may be damaged: export it again, as H.264 in an MP4 file.`);
  }
  if (video?.hasDecoder === false) {
    const reason = `ffmpeg ${ffmpeg.version} has no decoder for their codec, ${video.facts.codec}`;
    return undecoded(clip, video, reason);
  }
  if (video?.facts.frames === undefined || complaints.length > 0)
    return rejected(clip, 'VIDEO_CORRUPT', `${damageText(probe)}. Upload an intact copy.`);
  const shortage = shortageOf(video, clip.sizeBytes);
  if (shortage !== undefined) return rejected(clip, 'VIDEO_CORRUPT', shortage);
  const doubt = doubtAboutFrameCount(video);
  const message = `${shownFilename(clip.filename)} ${doubt}`;
  return completed(clip, video, doubt === undefined ? [] : [warningIn(clip.filename, 'WRONG_DURATION', message)]);
}

function damageText({ complaints, video }: Probe): string {
  const isAbout = (pattern: RegExp) => complaints.some((complaint) => pattern.test(complaint));
  if (isAbout(/moov atom not found/))
    return 'is truncated: its "moov" box, which describes the video and is often the last one, is missing';
  const is = isAbout(/ended prematurely|partial file/) ? 'is truncated' : 'is damaged';
  const { facts: { frames = 0 } = {}, listedFrames = 0 } = video ?? {};
  if (frames === 0) return `${is}: none of its frames can be decoded`;
  if (frames < listedFrames)
    return `${is}: only ${formatCount(frames)} of its ${formatCount(listedFrames)} frames can be decoded`;
  return `${is}: not all of its frames can be decoded`;
}

/** Most clips lack a frame or two at a cut, or have a little sound after the last frame. */
const MIN_REPEATED_FRAMES = 2;
const MIN_REPEATED_SHARE = 0.05;
/** Omitted frames do no harm to the others. */
const MIN_OMITTED_SHARE = 1 / 3;
/** With fewer frames, the trainer would learn mostly one that is repeated. */
const MIN_READ_SHARE = 1 / 3;

const EXPORT_ADVICE = 'Export it again as an ordinary MP4 file, or convert it to one with ffmpeg, without "-c copy".';

/**
 * Whether far fewer frames can be read than the container lists. A list of more frames than the file has bytes does not count,
 * as in an AVI that was written to a pipe.
 *
 * @returns the rest of a sentence that begins with the name of the clip
 */
export function shortageOf({ facts, listedFrames = 0 }: ProbedVideo, sizeBytes: number): string | undefined {
  const { frames = 0 } = facts;
  if (listedFrames > sizeBytes || frames >= MIN_READ_SHARE * listedFrames) return undefined;
  const counts = `only ${formatCount(frames)} of the ${formatCount(listedFrames)} frames in its header can be read`;
  return `has lost frames: ${counts}, as after trimming, so the trainer would mostly repeat the last one. ${EXPORT_ADVICE}`;
}

/**
 * The trainer spreads its frames over the number that OpenCV takes from the header (ai-toolkit `toolkit/dataloader_mixins.py`,
 * `load_and_process_video`), and repeats one in place of a missing one.
 *
 * @returns the rest of a sentence that begins with the name of the clip; `undefined` if the number is right
 */
export function doubtAboutFrameCount({ facts: { frames = 0 }, countedFrames }: ProbedVideo): string | undefined {
  if (frames < 2) return undefined;
  if (countedFrames === 0)
    return `has no duration in its header, so the trainer would read its first frame alone. ${EXPORT_ADVICE}`;
  const counts = `has ${formatCount(frames)} frames that can be read, but the trainer counts ${formatCount(countedFrames)} by its header`;
  const repeated = countedFrames - frames;
  if (repeated >= MIN_REPEATED_FRAMES && repeated >= MIN_REPEATED_SHARE * frames)
    return `${counts}, and would repeat some of them. ${EXPORT_ADVICE}`;
  if (-repeated < MIN_OMITTED_SHARE * frames) return undefined;
  return `${counts}, and would leave out the last ones. ${EXPORT_ADVICE}`;
}

function rejected({ filename }: ClipToDecode, code: ErrorProblemCode, text: string): Inspection {
  return { ok: false, problem: errorIn(filename, code, `${shownFilename(filename)} ${text}`) };
}

/** Decoding exceeds a limit or crashes. */
function failed({ filename }: ClipToDecode, reason: string): Inspection {
  const advice = 'It may be damaged: export it again and upload the new file.';
  const message = `The decoding of ${shownFilename(filename)} ${reason}. ${advice}`;
  return { ok: false, problem: errorIn(filename, 'INSPECTION_FAILED', message) };
}

/** The clip can't be decoded for a reason other than damage. */
function undecoded(clip: ClipToDecode, video: ProbedVideo | undefined, reason: string): Inspection {
  const advice = 'Convert it to H.264 in an MP4 file to have all of it checked.';
  const message = `The frames of ${shownFilename(clip.filename)} were not decoded: ${reason}. ${advice}`;
  return completed(clip, video, [warningIn(clip.filename, 'NOT_FULLY_CHECKED', message)]);
}

function completed(
  { inspection }: ClipToDecode,
  video: ProbedVideo | undefined,
  warnings: readonly Warning[],
): Inspection {
  const others = inspection.warnings.filter(({ code }) => code !== 'NOT_FULLY_CHECKED');
  return { ...inspection, facts: { ...inspection.facts, ...video?.facts }, warnings: [...others, ...warnings] };
}
