import { randomFillSync } from 'node:crypto';
import { open } from 'node:fs/promises';
import { clip } from '../test/fixtures/media.js';

const MIB = 2 ** 20;
const TIMESCALE = 30_000;
const FRAME_DURATION = 1000;
/** 50 Mbit/s at 30 frames a second, as cameras write. */
const FRAME_BYTES = 208_000;
/** Frames of one track that are stored together. */
const FRAMES_PER_CHUNK = 30;
const NOISE_BYTES = 8 * MIB;

/** The type of an H.264 unit that decoders skip (ITU-T H.264, 7.3.1). */
const FILLER_UNIT = 0x0c;

/**
 * Writes an H.264 MP4 with complete boxes and tables. Each frame is a small key frame and noise, which decoders skip.
 * Parsing it takes as much work as parsing a real one of that size, and it does not compress.
 */
export async function writeMovie(path: string, bytes: number): Promise<void> {
  const frames = Math.floor(bytes / FRAME_BYTES);
  const ftyp = box('ftyp', Buffer.from('isom'), words(512), Buffer.from('isomiso2avc1mp41'));
  // The length of the header does not depend on the offset of the frames.
  const dataAt = ftyp.length + header(frames, 0).length + 8;
  const moov = header(frames, dataAt);
  const dataBytes = bytes - dataAt;
  const file = await open(path, 'w');
  try {
    await file.write(Buffer.concat([ftyp, moov, words(dataBytes + 8), Buffer.from('mdat')]));
    const noise = Buffer.alloc(NOISE_BYTES);
    // Without zeros, since three bytes of a unit that begin with two could end it.
    for (const [at, byte] of randomFillSync(noise).entries()) noise[at] = byte | 0x80;
    for (let at = 0; at < dataBytes; at += NOISE_BYTES) {
      await file.write(noise, 0, Math.min(NOISE_BYTES, dataBytes - at));
    }
    const key = keyFrame();
    const frameStart = Buffer.concat([key, words(FRAME_BYTES - key.length - 4), Buffer.from([FILLER_UNIT])]);
    for (let frame = 0; frame < frames; frame++) {
      await file.write(frameStart, 0, frameStart.length, dataAt + frame * FRAME_BYTES);
    }
  } finally {
    await file.close();
  }
}

/** The `moov` box (ISO/IEC 14496-12, 8.2) of one video track. */
function header(frames: number, dataAt: number): Buffer {
  const duration = frames * FRAME_DURATION;
  const matrix = words(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000);
  const chunks = Math.ceil(frames / FRAMES_PER_CHUNK);
  const chunkOffsets = Array.from({ length: chunks }, (_, chunk) => dataAt + chunk * FRAMES_PER_CHUNK * FRAME_BYTES);
  const lastChunk = frames - (chunks - 1) * FRAMES_PER_CHUNK;
  const table = box(
    'stbl',
    sampleDescription(),
    box('stts', words(0, 1, frames, FRAME_DURATION)),
    box('stsc', words(0, 2, 1, FRAMES_PER_CHUNK, 1, chunks, lastChunk, 1)),
    // One size for each frame, as in real files, since reading the table is part of the work.
    box('stsz', words(0, 0, frames, ...Array.from({ length: frames }, () => FRAME_BYTES))),
    box('stco', words(0, chunks, ...chunkOffsets)),
  );
  const dataInfo = box('dinf', box('dref', words(0, 1), box('url ', words(1))));
  const media = box(
    'mdia',
    box('mdhd', words(0, 0, 0, TIMESCALE, duration, 0x55c40000)),
    box('hdlr', words(0, 0), Buffer.from('vide'), words(0, 0, 0), Buffer.from('\0')),
    box('minf', box('vmhd', words(1, 0, 0)), dataInfo, table),
  );
  const trackHeader = box(
    'tkhd',
    words(3, 0, 0, 1, 0, duration, 0, 0, 0, 0),
    matrix,
    words(1920 * 65_536, 1080 * 65_536),
  );
  const movieHeader = box(
    'mvhd',
    words(0, 0, 0, TIMESCALE, duration, 0x10000, 0x01000000, 0, 0),
    matrix,
    words(0, 0, 0, 0, 0, 0, 2),
  );
  return box('moov', movieHeader, box('trak', trackHeader, media));
}

/** The sample description of a real clip: codec, profile and parameter sets. */
function sampleDescription(): Buffer {
  const bytes = clip('faststart.mp4');
  const at = bytes.indexOf('stsd') - 4;
  return bytes.subarray(at, at + bytes.readUInt32BE(at));
}

/** The first frame of the clip that the sample description is from. */
function keyFrame(): Buffer {
  const bytes = clip('faststart.mp4');
  const at = bytes.readUInt32BE(bytes.indexOf('stco') + 12);
  return bytes.subarray(at, at + bytes.readUInt32BE(bytes.indexOf('stsz') + 16));
}

function box(type: string, ...payload: readonly Buffer[]): Buffer {
  const bytes = payload.reduce((sum, part) => sum + part.length, 8);
  return Buffer.concat([words(bytes), Buffer.from(type, 'latin1'), ...payload]);
}

function words(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, i) => {
    bytes.writeUInt32BE(value, i * 4);
  });
  return bytes;
}
