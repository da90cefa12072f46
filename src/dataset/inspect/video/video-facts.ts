import { ALL_FORMATS, CustomSource, Input, type InputVideoTrack } from 'mediabunny';
import type { FileBytes } from '../byte-source.js';
import { formatCount, StructureError } from '../inspection-error.js';
import type { Movie } from './movie.js';

/** Beyond this, mediabunny would hold too much; the walk over the container has proved as much without it. */
const MAX_HEADER_BYTES = 8 << 20;
const CACHE_BYTES = 4 << 20;

export interface VideoFacts {
  readonly width?: number;
  readonly height?: number;
  readonly durationSeconds: number;
  readonly frames: number;
  readonly framesPerSecond?: number;
  readonly codec: string;
  readonly hasAudio: boolean;
}

/**
 * Has mediabunny read what the walk found: codec, size as shown, and the packets.
 *
 * @throws Damage where it finds fewer packets than the container promises.
 */
export async function describeVideo(file: FileBytes, movie: Movie): Promise<VideoFacts> {
  const video = movie.tracks.find(({ kind }) => kind === 'video');
  if (video === undefined || video.frames === 0) throw new StructureError('is damaged: its video track has no frames');
  const { durationSeconds } = movie;
  const base = {
    durationSeconds: rounded(durationSeconds),
    frames: video.frames,
    ...(video.seconds > 0 ? { framesPerSecond: rounded(video.frames / video.seconds) } : {}),
    hasAudio: movie.tracks.some(({ kind, frames }) => kind === 'audio' && frames > 0),
  };
  const { codec, width, height } = video;
  const known = { ...base, codec, ...(width && height ? { width, height } : {}) };
  if (movie.headerBytes > MAX_HEADER_BYTES) return known;
  const source = new CustomSource({
    getSize: () => file.size,
    read: (start, end) => file.copy(start, end),
    maxCacheSize: CACHE_BYTES,
    prefetchProfile: 'fileSystem',
  });
  const input = new Input({ formats: ALL_FORMATS, source });
  try {
    // It knows no QuickTime file from before `ftyp`; the walk does.
    if (!(await input.canRead())) return known;
    const track = await input.getPrimaryVideoTrack();
    if (track === null) throw new StructureError('is damaged: its video track can not be read');
    if (movie.listable) await countPackets(track, video.frames);
    const [shownWidth, shownHeight] = [await track.getDisplayWidth(), await track.getDisplayHeight()];
    return { ...base, width: shownWidth, height: shownHeight, codec: (await track.getCodec()) ?? codec };
  } finally {
    input.dispose();
  }
}

async function countPackets(track: InputVideoTrack, promised: number): Promise<void> {
  const { packetCount } = await track.computePacketStats();
  if (packetCount < promised) {
    throw new StructureError(`is damaged: ${formatCount(packetCount)} of ${formatCount(promised)} frames can be read`);
  }
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}
