import { access } from 'node:fs/promises';
import { shownFilename } from '../../../dataset/inspect/inspect.js';
import type { Facts, Inspection } from '../../../dataset/inspect/inspection.js';
import { formatCount } from '../../../dataset/inspect/inspection-error.js';
import type { VideoFormat } from '../../../dataset/media.js';
import { type ErrorProblemCode, errorIn, warningIn } from '../../../dataset/problems.js';
import type { ClipDecoder, ClipToDecode } from '../../dependencies.js';
import { CpuBudgetSpent } from '../../limits/cpu-budget.js';
import type { SlotRequest } from '../inspection-pool.js';
import { expectedDecodeSeconds } from './expected-decode.js';
import type { Ffmpeg } from './ffmpeg.js';
import { isShortfallIntact, startsWithoutKeyFrame } from './frame-shortfall.js';
import { type ListedTrack, listPackets } from './packet-list.js';
import { byLine, type ClipFile, type FfmpegEnd, inputOptions, type RunLimits, runFfmpeg } from './run-ffmpeg.js';

type VideoFacts = Extract<Facts, { kind: 'video' }>;

/** A clip that takes longer is not decoded, and keeps its warning. */
const MAX_EXPECTED_SECONDS = 3600;

/** Larger frames need more memory than a decoder gets: 4096 × 2304. */
const MAX_FRAME_PIXELS = 4096 * 2304;

/** A clip of larger frames, or of an unknown size, is decoded alone, and keeps its warning if it needs more memory. */
const MAX_SMALL_FRAME_PIXELS = 1920 * 1088;

/**
 * What ffmpeg may use for a clip of small frames, and of one that is decoded alone. An honest clip of 1920 × 1080 needs less than
 * 130 MB, one of 3840 × 2160 180 (H.264) to 320 MB (AV1 with 10 bits). Two decoders and the server stay under 500 MB.
 */
const SMALL_MEGABYTES = 150;
const LARGE_MEGABYTES = 240;

/** The budget of processor time, generous for a slow core and a codec that is expensive to decode. */
const BASE_SECONDS = 30;
const BUDGET_FACTOR = 6;

/** The frames of a damaged clip are counted, which decodes it once more, only if that takes no longer. */
const MAX_COUNT_SECONDS = 20;

/** Runs `work` when a slot is free, with a signal that is also aborted when the service stops. */
type RunInSlot = <T>(request: SlotRequest, work: (signal: AbortSignal) => Promise<T>) => Promise<T>;

/** Formats whose structure is not proved: ffmpeg provides their facts too. */
const WITHOUT_PARSER: readonly string[] = ['avi', 'wmv', 'flv'];

/**
 * Makes the function that decodes every frame of a clip's first video track. It throws CpuBudgetSpent if the decode has used the
 * budget, or needs the memory of which there is enough for one decoder.
 *
 * @param options.baseSeconds the processor time that every clip gets; only tests set it
 */
export function clipDecoder(
  ffmpeg: Ffmpeg,
  { runInSlot, baseSeconds = BASE_SECONDS }: { runInSlot: RunInSlot; baseSeconds?: number },
): ClipDecoder {
  return async (clip, { accountId, isBackground, budget, signal }) => {
    const { facts } = clip.inspection;
    if (facts.kind !== 'video') return clip.inspection;
    const expectedSeconds = expectedDecodeSeconds(clip);
    if (expectedSeconds > MAX_EXPECTED_SECONDS) return undecoded(clip, 'decoding them would take more than an hour');
    if (pixelsOf(facts) > MAX_FRAME_PIXELS) return undecoded(clip, TOO_LARGE);
    const request = { accountId, isBackground, signal };
    const maxCpuSeconds = baseSeconds + BUDGET_FACTOR * expectedSeconds;
    const limits = { expectedSeconds, maxCpuSeconds, budget };
    const prove = (maxMegabytes: number) =>
      runInSlot({ ...request, needsMuchMemory: maxMegabytes > SMALL_MEGABYTES }, (signal) =>
        new ClipProof(ffmpeg, { clip, facts, signal, maxMegabytes, ...limits }).run(),
      );
    const proved = isSmall(facts) ? await prove(SMALL_MEGABYTES) : undefined;
    // Only one decoder at a time gets so much memory, so a client would wait for those of other accounts.
    if (proved === undefined && budget !== undefined) throw new CpuBudgetSpent();
    return proved ?? (await prove(LARGE_MEGABYTES)) ?? tooLarge(clip, facts);
  };
}

/** The result for a clip that needs more memory than a decoder gets alone. */
function tooLarge(clip: ClipToDecode, facts: VideoFacts): Inspection {
  return isSmall(facts) ? failed(clip, `needs more than ${LARGE_MEGABYTES} MB`) : undecoded(clip, TOO_LARGE);
}

const TOO_LARGE = `they need more than the ${LARGE_MEGABYTES} MB of memory that a decoder may use`;

function isSmall(facts: VideoFacts): boolean {
  return pixelsOf(facts) > 0 && pixelsOf(facts) <= MAX_SMALL_FRAME_PIXELS;
}

interface ProofOptions extends RunLimits {
  readonly clip: ClipToDecode;
  readonly facts: VideoFacts;
  readonly expectedSeconds: number;
}

/** An error that these decoders conceal in the picture, and that these demuxers skip. ffmpeg reports it and exits with 0. */
const CONCEALED_ERROR =
  /^\[(((ffv1|mpeg4|msmpeg4(v\d)?|h263|flv|wmv[12]|mpeg[12]video|cinepak|asf) @ 0x)|hevc @ 0x\w+\] CABAC_MAX_BIN)/m;

type DecodeMode = 'strict' | 'lenient' | 'count';

class ClipProof {
  readonly #ffmpeg: Ffmpeg;
  readonly #clip: ClipToDecode;
  readonly #facts: VideoFacts;
  readonly #file: ClipFile;
  readonly #expectedSeconds: number;
  readonly #limits: RunLimits;

  constructor(ffmpeg: Ffmpeg, { clip, facts, expectedSeconds, ...limits }: ProofOptions) {
    this.#ffmpeg = ffmpeg;
    this.#clip = clip;
    this.#facts = facts;
    this.#file = { path: clip.path, format: facts.format as VideoFormat };
    this.#expectedSeconds = expectedSeconds;
    this.#limits = limits;
  }

  /** `undefined` if it takes more memory than it may. */
  async run(): Promise<Inspection | undefined> {
    const listed = WITHOUT_PARSER.includes(this.#facts.format) ? await this.#listedFacts() : this.#facts;
    const strict = await this.#decode('strict');
    if (strict.end.exitCode === 0 && !CONCEALED_ERROR.test(strict.end.errorText))
      return this.#judge(strict.frames, listed);
    const { ended, errorText } = strict.end;
    if (ended === 'memory') return undefined;
    const exceeded = await this.#exceeded(ended, errorText);
    if (exceeded !== undefined) return exceeded;
    // A clip that was cut from a longer one may begin with frames that need earlier ones. That is not damage.
    const mayBeH264 = /avc|h264/i.test(listed.codec ?? '');
    if (mayBeH264 && (await startsWithoutKeyFrame(this.#ffmpeg, this.#file, this.#limits))) {
      const lenient = await this.#decode('lenient');
      if (lenient.end.ended === 'memory') return undefined;
      if (lenient.end.exitCode === 0) return this.#judge(lenient.frames, listed);
    }
    return this.#damaged(await this.#countIfShort());
  }

  /** Judges a clip whose frames were decoded without an error. */
  async #judge(decoded: number, facts: VideoFacts): Promise<Inspection> {
    const declared = this.#facts.frames ?? 0;
    if (decoded === 0) return this.#damaged(0);
    if (decoded < declared) {
      const missing = declared - decoded;
      const isIntact = await isShortfallIntact(this.#ffmpeg, this.#file, { missing, declared, ...this.#limits });
      if (!isIntact) return this.#damaged(decoded);
    }
    const { inspection } = this.#clip;
    const warnings = inspection.warnings.filter(({ code }) => code !== 'NOT_FULLY_CHECKED');
    return { ...inspection, facts: { ...facts, frames: decoded }, warnings };
  }

  /** Decodes the whole track. `strict` ends at the first error; `lenient` accepts what the decoder can conceal. */
  async #decode(mode: DecodeMode): Promise<{ end: FfmpegEnd; frames: number }> {
    const checks = {
      strict: ['-xerror', '-err_detect', 'explode+crccheck'],
      lenient: ['-xerror'],
      count: ['-err_detect', 'explode+crccheck'],
    };
    // Frames are counted by their number, not by their times, which may be missing or go back.
    const output = ['-fps_mode', 'passthrough', '-noautoscale', '-bsf:v', 'setts=ts=N', '-f', 'null', '-'];
    const progress = ['-progress', 'pipe:1', '-nostats'];
    let frames = 0;
    const onOutput = byLine((line) => {
      const count = /^frame=\s*(\d+)/.exec(line)?.[1];
      if (count !== undefined) frames = Number(count);
    });
    const args = ['-v', 'error', ...progress, ...checks[mode], ...inputOptions(this.#file), ...output];
    const end = await runFfmpeg(this.#ffmpeg, args, { ...this.#limits, onOutput });
    return { end, frames };
  }

  /** The result if ffmpeg failed for another reason than damage. */
  async #exceeded(ended: Exclude<FfmpegEnd['ended'], 'memory'>, errorText: string): Promise<Inspection | undefined> {
    // A file that is gone is not damaged.
    await access(this.#clip.path);
    const budget = `takes more than ${formatCount(Math.ceil(this.#limits.maxCpuSeconds))} s`;
    switch (ended) {
      case 'time':
        return failed(this.#clip, budget);
      case 'hang':
        return failed(this.#clip, 'does not end');
      case 'crash':
        return failed(this.#clip, 'crashes ffmpeg');
      case undefined:
        break;
    }
    if (errorText.includes('matches no streams')) {
      return this.#problem(
        'NOT_A_VIDEO',
        'has no video track, so there is nothing to train on',
        'Upload a file that has one.',
      );
    }
    // The texts of ffmpeg 7, and of 4 to 6.
    const [, newName, oldName] = /no decoder found for: (\w+)|Decoder \(codec (\w+)\) not found/.exec(errorText) ?? [];
    const codec = newName ?? oldName;
    if (codec === 'none' || codec === 'unknown') return this.#unknownCodec();
    if (codec !== undefined) {
      return undecoded(this.#clip, `ffmpeg ${this.#ffmpeg.version} has no decoder for their codec, ${codec}`);
    }
    return undefined;
  }

  /** The number of frames that can be decoded, if it takes little time to count them. */
  async #countIfShort(): Promise<number | undefined> {
    const isOfUse = this.#facts.frames !== undefined && this.#expectedSeconds <= MAX_COUNT_SECONDS;
    if (!isOfUse) return undefined;
    const { end, frames } = await this.#decode('count');
    return end.ended === undefined ? frames : undefined;
  }

  /** The facts of a clip whose structure was not proved. */
  async #listedFacts(): Promise<VideoFacts> {
    let [start, end] = [Number.POSITIVE_INFINITY, 0];
    const onFrame = ({ dts, seconds }: { dts: number | undefined; seconds: number }) => {
      if (dts === undefined) return;
      start = Math.min(start, dts);
      end = Math.max(end, dts + seconds);
    };
    const track = await listPackets(this.#ffmpeg, this.#file, { ...this.#limits, onFrame });
    const duration = end > start ? { durationSeconds: rounded(end - start) } : {};
    return track === undefined ? this.#facts : { ...this.#facts, ...sizeAndCodec(track), ...duration };
  }

  #damaged(decoded: number | undefined): Inspection {
    return this.#problem(
      'VIDEO_CORRUPT',
      `is damaged: ${damageText(decoded, this.#facts.frames)}`,
      'Upload an intact copy.',
    );
  }

  /** The trainer's readers are made of ffmpeg's code, and leave such a clip out. */
  #unknownCodec(): Inspection {
    const { codec } = this.#facts;
    const named = codec === undefined ? '' : ` (${codec})`;
    const advice = 'It may be damaged: export it again, as H.264 in an MP4 file.';
    return this.#problem('VIDEO_CORRUPT', `has a codec${named} that ffmpeg does not know`, advice);
  }

  #problem(code: ErrorProblemCode, text: string, advice: string): Inspection {
    const { filename } = this.#clip;
    return { ok: false, problem: errorIn(filename, code, `${shownFilename(filename)} ${text}. ${advice}`) };
  }
}

function damageText(decoded: number | undefined, declared: number | undefined): string {
  if (decoded === 0) return 'none of its frames can be decoded';
  const isFewer = decoded !== undefined && declared !== undefined && decoded < declared;
  if (isFewer) return `only ${formatCount(decoded)} of its ${formatCount(declared)} frames can be decoded`;
  return 'not all of its frames can be decoded';
}

/** The inspection of a clip whose decoding exceeds a limit or crashes. */
function failed({ filename }: ClipToDecode, reason: string): Inspection {
  const advice = 'It may be damaged: export it again and upload the new file.';
  const message = `The decoding of ${shownFilename(filename)} ${reason}. ${advice}`;
  return { ok: false, problem: errorIn(filename, 'INSPECTION_FAILED', message) };
}

/** The inspection of a clip that can't be decoded here for a reason other than damage. */
function undecoded({ filename, inspection }: ClipToDecode, reason: string): Inspection {
  const advice = 'Convert it to H.264 in an MP4 file to have all of it checked.';
  const message = `The frames of ${shownFilename(filename)} were not decoded: ${reason}. ${advice}`;
  const others = inspection.warnings.filter(({ code }) => code !== 'NOT_FULLY_CHECKED');
  return { ...inspection, warnings: [...others, warningIn(filename, 'NOT_FULLY_CHECKED', message)] };
}

/** Our names for codecs are mediabunny's. */
function sizeAndCodec({ codec, width, height }: ListedTrack): Partial<VideoFacts> {
  return {
    ...(codec !== undefined && { codec: codec === 'h264' ? 'avc' : codec }),
    ...(width > 0 && height > 0 && { width, height }),
  };
}

function pixelsOf({ width = 0, height = 0 }: VideoFacts): number {
  return width * height;
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
