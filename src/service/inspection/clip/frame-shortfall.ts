import type { Ffmpeg } from './ffmpeg.js';
import { firstDecoded, listPackets } from './packet-list.js';
import { type ClipFile, inputOptions, type RunLimits, runFfmpeg } from './run-ffmpeg.js';

/** Packets of MPEG-4 Part 2 without a picture ("not coded": the previous frame stays) have a header of at most this size. */
const MAX_NOT_CODED_BYTES = 20;

/** The most frames before a key frame in display order and after it in the file: 16, in H.264 and HEVC. */
const MAX_LEADING_FRAMES = 16;

/** Less than the time between any two frames. */
const MAX_ROUNDING_SECONDS = 1e-6;

/**
 * Decides if a clip of which fewer frames than packets were decoded, without an error, is intact. Decoders skip:
 * - frames after the first key frame that refer to frames before it, in clips cut from a longer one (open GOP; RASL
 *   pictures of HEVC)
 * - empty packets, and pictures that are not coded (AVI and MPEG-4 Part 2 have them where the picture does not change)
 * - one of the two packets of a frame whose fields are stored on their own (interlaced H.264 and MPEG-2)
 * - hidden frames of VP8, to which others refer
 */
export async function isShortfallIntact(
  ffmpeg: Ffmpeg,
  file: ClipFile,
  { missing, declared, ...limits }: RunLimits & { missing: number; declared: number },
): Promise<boolean> {
  const first = await firstDecoded(ffmpeg, file, limits);
  const firstPts = first?.pts ?? Number.NEGATIVE_INFINITY;
  // Those that precede the first decoded frame in the file as well belong to a damaged key frame.
  let hasFirst = first?.pts === undefined;
  const packets = { all: 0, leading: 0, empty: 0, notCoded: 0 };
  const track = await listPackets(ffmpeg, file, {
    ...limits,
    onFrame: ({ pts, sizeBytes }) => {
      packets.all++;
      // Matroska has no negative times: frames that are before the first one have none.
      if (hasFirst && (pts === undefined || pts < firstPts)) packets.leading++;
      hasFirst ||= pts !== undefined && Math.abs(pts - firstPts) < MAX_ROUNDING_SECONDS;
      if (sizeBytes === 0) packets.empty++;
      if (sizeBytes <= MAX_NOT_CODED_BYTES) packets.notCoded++;
    },
  });
  // If the container does not hold all the packets that it declares, they are missing indeed.
  if (track === undefined || packets.all < declared) return false;
  if (missing <= Math.min(packets.leading, MAX_LEADING_FRAMES) || missing <= packets.empty) return true;
  switch (track.codec) {
    case 'mpeg4':
    case 'h263':
      return missing <= packets.notCoded;
    case 'vp8':
      return missing <= (await hiddenFrames(ffmpeg, file, limits));
    case 'h264':
      return missing <= Math.ceil(declared / 2) && FIELDS_ALLOWED.test(await firstHeaders(ffmpeg, file, limits));
    case 'mpeg2video':
      return missing <= Math.ceil(declared / 2);
    default:
      return false;
  }
}

const FIELDS_ALLOWED = /\bframe_mbs_only_flag\s+0 = 0\b/;
const IDR_PICTURE = /\bnal_unit_type\s+\d+ = 5\b/;
const H264_SLICE = /\bnal_unit_type\s+\d+ = 1\b/;

/** Whether the first picture of an H.264 clip is no IDR picture, so that later ones may refer to frames before it. */
export async function startsWithoutKeyFrame(ffmpeg: Ffmpeg, file: ClipFile, limits: RunLimits): Promise<boolean> {
  const headers = await firstHeaders(ffmpeg, file, limits);
  return H264_SLICE.test(headers) && !IDR_PICTURE.test(headers);
}

/** The headers of the first packet, as ffmpeg's `trace_headers` prints them. */
async function firstHeaders(ffmpeg: Ffmpeg, file: ClipFile, limits: RunLimits): Promise<string> {
  const output = ['-c', 'copy', '-copyinkf', '-frames:v', '1', '-bsf:v', 'trace_headers', '-f', 'null', '-'];
  const args = ['-v', 'info', ...inputOptions(file), ...output];
  const { errorText } = await runFfmpeg(ffmpeg, args, { ...limits, onOutput: () => {} });
  return errorText;
}

/** Counts the frames of VP8 whose header says that they are not shown (RFC 6386, section 9.1). */
async function hiddenFrames(ffmpeg: Ffmpeg, file: ClipFile, limits: RunLimits): Promise<number> {
  let hidden = 0;
  const onOutput = byIvfFrame((first) => {
    if ((first & 0x10) === 0) hidden++;
  });
  await runFfmpeg(ffmpeg, ['-v', 'error', ...inputOptions(file), '-c', 'copy', '-copyinkf', '-f', 'ivf', 'pipe:1'], {
    ...limits,
    onOutput,
  });
  return hidden;
}

const IVF_HEADER_BYTES = 32;
const IVF_FRAME_HEADER_BYTES = 12;

/** Makes an `onOutput` that receives the IVF format, and calls `onFrame` with the first byte of each frame. */
function byIvfFrame(onFrame: (first: number) => void): (bytes: Buffer) => void {
  let header = Buffer.alloc(0);
  /** Bytes up to the next header. */
  let left = IVF_HEADER_BYTES;
  let isFirst = false;
  return (bytes) => {
    for (let at = 0; at < bytes.length; ) {
      if (left > 0) {
        if (isFirst) onFrame(bytes[at] ?? 0);
        isFirst = false;
        const skipped = Math.min(left, bytes.length - at);
        left -= skipped;
        at += skipped;
        continue;
      }
      const part = bytes.subarray(at, at + IVF_FRAME_HEADER_BYTES - header.length);
      header = Buffer.concat([header, part]);
      at += part.length;
      if (header.length < IVF_FRAME_HEADER_BYTES) return;
      left = header.readUInt32LE(0);
      isFirst = left > 0;
      header = Buffer.alloc(0);
    }
  };
}
