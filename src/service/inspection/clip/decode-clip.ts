import { access } from 'node:fs/promises';
import { shownFilename } from '../../../dataset/inspect/inspect.js';
import type { Inspection } from '../../../dataset/inspect/inspection.js';
import { formatCount } from '../../../dataset/inspect/inspection-error.js';
import type { VideoFormat } from '../../../dataset/media.js';
import { type ErrorProblemCode, errorIn, type Warning, warningIn } from '../../../dataset/problems.js';
import type { ClipDecoder, ClipToDecode } from '../../dependencies.js';
import { type CpuBudget, CpuBudgetSpent } from '../../limits/cpu-budget.js';
import type { SlotRequest } from '../inspection-pool.js';
import type { LimitName } from '../process-watch.js';
import { expectedDecodeSeconds, leastDecodeSeconds } from './expected-decode.js';
import type { Ffmpeg } from './ffmpeg.js';
import { doubtAboutFrameCount, lacksFrames, shortageText } from './frame-count.js';
import { type Probe, type ProbedVideo, probeClip } from './probe-clip.js';

/** A clip that takes longer is not decoded, and keeps its warning. */
const MAX_EXPECTED_SECONDS = 3600;

/** Larger frames need more memory than a decoder gets: 4096 × 2304. */
const MAX_FRAME_PIXELS = 4096 * 2304;

/** A clip of larger frames, or of an unknown size, is decoded alone, and keeps its warning if it needs more memory. */
const MAX_SMALL_FRAME_PIXELS = 1920 * 1088;

/**
 * What a decoder may use for a clip of small frames, and for one that is decoded alone. An honest clip of 1920 × 1080 needs less than
 * 130 MB, one of 3840 × 2160 180 (H.264) to 320 MB (AV1 with 10 bits). Two decoders and the server stay under 500 MB.
 */
const SMALL_MEGABYTES = 150;
const LARGE_MEGABYTES = 240;

/** The budget of processor time, generous for a slow core and a codec that is expensive to decode. */
const BASE_SECONDS = 30;
const BUDGET_FACTOR = 6;

/**
 * The start of ffprobe takes as long as a decode of 100 small frames, so a clip up to this size, for which a person waits, is decoded
 * at once, without reading its header first.
 */
const MAX_QUICK_BYTES = 4_000_000;
const QUICK_SECONDS = 5;

/** Runs `work` when a slot is free, with a signal that is also aborted when the service stops. */
type RunInSlot = <T>(request: SlotRequest, work: (signal: AbortSignal) => Promise<T>) => Promise<T>;

/**
 * Makes the function that reads the facts of a clip and decodes every frame of its first video track. It throws CpuBudgetSpent if
 * the decode has used the budget or would use it, or needs the memory of which there is enough for one decoder.
 *
 * @param options.baseSeconds the processor time that every clip gets; only tests set it
 */
export function clipDecoder(
  ffmpeg: Ffmpeg,
  { runInSlot, baseSeconds = BASE_SECONDS }: { runInSlot: RunInSlot; baseSeconds?: number },
): ClipDecoder {
  return async (clip, { accountId, isBackground = false, budget, signal }) => {
    const { facts } = clip.inspection;
    if (facts.kind !== 'video') return clip.inspection;
    const file = { path: clip.path, format: facts.format as VideoFormat };
    const request = { accountId, isBackground, signal };
    const probe: RunProbe = (limits) =>
      runInSlot({ ...request, needsMuchMemory: limits.maxMegabytes > SMALL_MEGABYTES }, (signal) =>
        probeClip(ffmpeg, file, { ...limits, budget, signal }),
      );
    const { sizeBytes } = clip;
    requireBudget(budget, leastDecodeSeconds(sizeBytes));
    if (!isBackground && sizeBytes <= MAX_QUICK_BYTES) {
      const maxCpuSeconds = Math.min(QUICK_SECONDS, baseSeconds);
      const quick = await probe({ decodes: true, maxMegabytes: SMALL_MEGABYTES, maxCpuSeconds });
      if (quick.ended === undefined) return judge(clip, quick, { ffmpeg, maxCpuSeconds });
    }
    return decodeByHeader(clip, probe, { ffmpeg, baseSeconds, budget });
  };
}

type RunProbe = (limits: { decodes: boolean; maxMegabytes: number; maxCpuSeconds: number }) => Promise<Probe>;

/** Reads the header of a clip, and decodes it with the limits that its frames need, unless these are too large or too many. */
async function decodeByHeader(
  clip: ClipToDecode,
  probe: RunProbe,
  { ffmpeg, baseSeconds, budget }: { ffmpeg: Ffmpeg; baseSeconds: number; budget: CpuBudget | undefined },
): Promise<Inspection> {
  const header = await probe({ decodes: false, maxMegabytes: SMALL_MEGABYTES, maxCpuSeconds: baseSeconds });
  const { video } = header;
  // A few frames are decoded to describe a track, so that large ones may need more memory.
  if (video?.facts.codec === undefined && header.ended !== 'memory')
    return judge(clip, header, { ffmpeg, maxCpuSeconds: baseSeconds });
  const expectedSeconds = expectedDecodeSeconds(clip.sizeBytes, video);
  if (expectedSeconds > MAX_EXPECTED_SECONDS)
    return undecoded(clip, video, 'decoding them would take more than an hour');
  if (pixelsOf(video) > MAX_FRAME_PIXELS) return undecoded(clip, video, TOO_LARGE);
  requireBudget(budget, expectedSeconds);
  const isSmall = pixelsOf(video) > 0 && pixelsOf(video) <= MAX_SMALL_FRAME_PIXELS;
  const maxCpuSeconds = baseSeconds + BUDGET_FACTOR * expectedSeconds;
  for (const maxMegabytes of isSmall ? [SMALL_MEGABYTES, LARGE_MEGABYTES] : [LARGE_MEGABYTES]) {
    // Only one decoder at a time gets so much memory, so a client would wait for those of other accounts.
    if (maxMegabytes > SMALL_MEGABYTES && budget !== undefined) throw new CpuBudgetSpent();
    const decoded = await probe({ decodes: true, maxMegabytes, maxCpuSeconds });
    if (decoded.ended !== 'memory') return judge(clip, decoded, { ffmpeg, maxCpuSeconds });
  }
  return isSmall ? failed(clip, `needs more than ${LARGE_MEGABYTES} MB`) : undecoded(clip, video, TOO_LARGE);
}

const TOO_LARGE = `they need more than the ${LARGE_MEGABYTES} MB of memory that a decoder may use`;

/** What would be ended is not begun. @throws CpuBudgetSpent */
function requireBudget(budget: CpuBudget | undefined, seconds: number): void {
  if (budget !== undefined && seconds > budget.secondsLeft) throw new CpuBudgetSpent();
}

/** Judges a clip by all that ffprobe has said of it. @throws the operating system's error if the file is gone */
async function judge(
  clip: ClipToDecode,
  probe: Probe,
  { ffmpeg, maxCpuSeconds }: { ffmpeg: Ffmpeg; maxCpuSeconds: number },
): Promise<Inspection> {
  const { ended, video, complaints } = probe;
  if (ended !== undefined) return failed(clip, exceededText(ended, maxCpuSeconds));
  // A file that is gone is not damaged.
  if (video === undefined || complaints.length > 0) await access(clip.path);
  if (video === undefined && probe.hasAudio) {
    const text = 'has no video track, so there is nothing to train on';
    return rejected(clip, 'NOT_A_VIDEO', `${text}. Upload a file that has one.`);
  }
  if (video !== undefined && video.facts.codec === undefined) {
    // The trainer's readers are made of FFmpeg's code, and leave such a clip out.
    const text = 'has a codec that ffmpeg does not know';
    return rejected(clip, 'VIDEO_CORRUPT', `${text}. It may be damaged: export it again, as H.264 in an MP4 file.`);
  }
  if (video?.hasDecoder === false) {
    const reason = `ffmpeg ${ffmpeg.version} has no decoder for their codec, ${video.facts.codec}`;
    return undecoded(clip, video, reason);
  }
  if (video?.facts.frames === undefined || complaints.length > 0) {
    return rejected(clip, 'VIDEO_CORRUPT', `${damageText(probe)}. Upload an intact copy.`);
  }
  if (lacksFrames(video, clip.sizeBytes)) {
    return rejected(clip, 'VIDEO_CORRUPT', shortageText(video));
  }
  const doubt = doubtAboutFrameCount(video);
  const { filename } = clip;
  return completed(
    clip,
    video,
    doubt === undefined ? [] : [warningIn(filename, 'WRONG_DURATION', `${shownFilename(filename)} ${doubt}`)],
  );
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

function exceededText(ended: LimitName | 'crash', maxCpuSeconds: number): string {
  switch (ended) {
    case 'time':
      return `takes more than ${formatCount(Math.ceil(maxCpuSeconds))} s`;
    case 'memory':
      return `needs more than ${SMALL_MEGABYTES} MB`;
    case 'hang':
      return 'does not end';
    case 'crash':
      return 'crashes ffmpeg';
  }
}

function rejected({ filename }: ClipToDecode, code: ErrorProblemCode, text: string): Inspection {
  return { ok: false, problem: errorIn(filename, code, `${shownFilename(filename)} ${text}`) };
}

/** The inspection of a clip whose decoding exceeds a limit or crashes. */
function failed({ filename }: ClipToDecode, reason: string): Inspection {
  const advice = 'It may be damaged: export it again and upload the new file.';
  const message = `The decoding of ${shownFilename(filename)} ${reason}. ${advice}`;
  return { ok: false, problem: errorIn(filename, 'INSPECTION_FAILED', message) };
}

/** The inspection of a clip that can't be decoded here for a reason other than damage. */
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

function pixelsOf(video: ProbedVideo | undefined): number {
  return (video?.facts.width ?? 0) * (video?.facts.height ?? 0);
}
