import { ALL_FORMATS, CustomSource, Input, type InputVideoTrack } from 'mediabunny';
import type { FileBytes } from '../byte-source.js';
import type { Facts } from '../inspection.js';
import { formatCount, StructureError } from '../inspection-error.js';

/** mediabunny would need too much memory for longer headers; such files are checked without it. */
const MAX_HEADER_BYTES = 8 << 20;
const CACHE_BYTES = 4 << 20;

/** A track by the structure of its container. `frames` are counted in the file, not taken from a header. */
export interface Track {
  readonly kind: 'video' | 'audio' | 'other';
  frames: number;
  /** The duration of its frames; 0 if unknown. */
  seconds: number;
  /** The container's name for it: `avc1`, `V_VP9`. */
  readonly codec: string;
  /** In pixels, after rotation. Used if mediabunny does not read the file. */
  readonly width?: number;
  readonly height?: number;
}

/** The result of the check of a container's structure. */
export interface Movie {
  readonly tracks: readonly Track[];
  readonly durationSeconds: number;
  /** Bytes of the headers, which mediabunny holds in memory while it parses them. */
  readonly headerBytes: number;
  /** Whether mediabunny can list all packets without reading the media data. */
  readonly isListable: boolean;
}

type VideoFacts = Omit<Extract<Facts, { kind: 'video' }>, 'kind' | 'format'>;

/**
 * Reads the codec and the displayed dimensions with mediabunny, and counts the packets once more.
 *
 * @throws StructureError if mediabunny finds fewer packets than the container declares
 */
export async function describeVideo(file: FileBytes, movie: Movie): Promise<VideoFacts> {
  const video = movie.tracks.find(({ kind }) => kind === 'video');
  if (video === undefined || video.frames === 0) throw new StructureError('is damaged: its video track has no frames');
  const base = {
    durationSeconds: rounded(movie.durationSeconds),
    frames: video.frames,
    ...(video.seconds > 0 ? { framesPerSecond: rounded(video.frames / video.seconds) } : {}),
    hasAudio: movie.tracks.some(({ kind, frames }) => kind === 'audio' && frames > 0),
  };
  const { codec, width, height } = video;
  const factsSoFar = { ...base, codec, ...(width && height ? { width, height } : {}) };
  if (movie.headerBytes > MAX_HEADER_BYTES) return factsSoFar;
  const source = new CustomSource({
    getSize: () => file.size,
    read: (start, end) => file.copy(start, end),
    maxCacheSize: CACHE_BYTES,
    prefetchProfile: 'fileSystem',
  });
  const input = new Input({ formats: ALL_FORMATS, source });
  try {
    // mediabunny reads no QuickTime file without an `ftyp` box; our parser does.
    if (!(await input.canRead())) return factsSoFar;
    const track = await input.getPrimaryVideoTrack();
    if (track === null) throw new StructureError('is damaged: its video track is unreadable');
    if (movie.isListable) await countPackets(track, video.frames);
    const [displayWidth, displayHeight] = [await track.getDisplayWidth(), await track.getDisplayHeight()];
    return { ...base, width: displayWidth, height: displayHeight, codec: (await track.getCodec()) ?? codec };
  } finally {
    input.dispose();
  }
}

async function countPackets(track: InputVideoTrack, declared: number): Promise<void> {
  const { packetCount } = await track.computePacketStats();
  if (packetCount < declared) {
    const readable = `${formatCount(packetCount)} of ${formatCount(declared)}`;
    throw new StructureError(`is damaged: only ${readable} frames are readable`);
  }
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
