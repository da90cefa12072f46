import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { StructureError } from '../../../../src/dataset/inspect/inspection-error.js';
import { frameCheckOf } from '../../../../src/dataset/inspect/video/codec/frame-checks.js';
import { readMatroska } from '../../../../src/dataset/inspect/video/matroska/matroska.js';
import { readMp4 } from '../../../../src/dataset/inspect/video/mp4.js';
import type { Movie } from '../../../../src/dataset/inspect/video/video-facts.js';
import * as media from '../../../fixtures/media.js';
import { fileOf } from './file-of.js';

type ClipName = (typeof media.CLIPS)[number];

const parse = (name: string, bytes: Buffer): Movie =>
  /mkv|webm/.test(name) ? readMatroska(fileOf(bytes)) : readMp4(fileOf(bytes));

/** The message of the error; `undefined` for a clip that is accepted. Any other exception fails the test. */
function problemOf(name: string, bytes: Buffer): string | undefined {
  try {
    parse(name, bytes);
    return undefined;
  } catch (error) {
    if (error instanceof StructureError) return error.message;
    throw error;
  }
}

/** The offset and the length of each frame of an MP4 whose frames are all in one chunk. */
function framesOf(bytes: Buffer): { start: number; length: number }[] {
  const [sizes, chunks] = [bytes.indexOf('stsz') + 12, bytes.indexOf('stco') + 8];
  expect(bytes.readUInt32BE(chunks)).toBe(1);
  let start = bytes.readUInt32BE(chunks + 4);
  return Array.from({ length: bytes.readUInt32BE(sizes) }, (_, frame) => {
    const length = bytes.readUInt32BE(sizes + 4 + frame * 4);
    start += length;
    return { start: start - length, length };
  });
}

const ONE_CHUNK = ['moov-last.mp4', 'hevc.mp4', 'av1.mp4', 'mpeg4.mp4', 'motion-jpeg.mov', 'prores.mov'] as const;

describe('a damaged frame', () => {
  test.each(ONE_CHUNK)('of %s is found, wherever it begins with zeros or with random bytes', (name) => {
    const bytes = media.clip(name);
    for (const { start, length } of framesOf(bytes)) {
      if (length < 24) continue;
      const zeros = media.damaged.zeroed(bytes, { start, end: start + 16 });
      expect(problemOf(name, zeros)).toContain(`has zeros instead of a frame`);
      // No length, start code, marker or mark has these bytes.
      const others = Buffer.from(bytes).fill(0xd3, start, start + 16);
      expect(problemOf(name, others), `byte ${start}`).toContain('has other data instead of a frame');
    }
  });

  test.each([...ONE_CHUNK, 'faststart.mp4', 'quicktime.mov'] as const)('of %s is found if offsets shift', (name) => {
    const bytes = media.clip(name);
    const table = bytes.indexOf('stco') + 8;
    const chunks = bytes.readUInt32BE(table);
    for (const shift of [-9, -2, -1, 1, 2, 7, 100]) {
      const shifted = Buffer.from(bytes);
      for (let at = table + 4; at < table + 4 + chunks * 4; at += 4) {
        shifted.writeUInt32BE(shifted.readUInt32BE(at) + shift, at);
      }
      expect(problemOf(name, shifted), `shift ${shift}`).toBeDefined();
    }
  });

  test.each(['fragmented.mp4', 'indexed-fragments.mp4', 'matroska.mkv', 'hevc.mkv'] as const)(
    'of %s is found by a length inside it',
    (name) => {
      const bytes = media.clip(name);
      // A key frame has its length in four bytes, then the header of the slice.
      const header = name === 'hevc.mkv' ? Buffer.of(0x28, 0x01, 0xaf) : Buffer.of(0x65, 0x88);
      const unit = bytes.indexOf(header, name.endsWith('mp4') ? bytes.indexOf('mdat') : 0) - 4;
      const length = bytes.readUInt32BE(unit);
      expect(length).toBeGreaterThan(100);
      for (const other of [0, length - 7, length + 1, length + 2 ** 16, 2 ** 32 - 1]) {
        const changed = Buffer.from(bytes);
        changed.writeUInt32BE(other, unit);
        expect(problemOf(name, changed), `${other} instead of ${length}`).toContain('instead of a frame');
      }
    },
  );

  test('of VP8 or VP9 is found by the first bytes', () => {
    for (const [name, mark] of [
      ['vp8.webm', '9d012a'],
      ['vp9.webm', '498342'],
    ] as const) {
      const bytes = media.clip(name);
      const at = bytes.indexOf(Buffer.from(mark, 'hex'));
      expect(problemOf(name, media.damaged.flipped(bytes, at)), name).toContain('instead of a frame');
    }
  });

  test('is found by the checksum of its cluster, whichever byte changes', () => {
    const bytes = media.clip('matroska.mkv');
    const cluster = bytes.indexOf(Buffer.from([0x1f, 0x43, 0xb6, 0x75]));
    const end = bytes.lastIndexOf(Buffer.from([0x1c, 0x53, 0xbb, 0x6b]));
    expect(end).toBeGreaterThan(cluster);
    for (let at = cluster + 12; at < end; at += 5) {
      expect(problemOf('a.mkv', media.damaged.flipped(bytes, at)), `byte ${at}`).toBeDefined();
    }
  });
});

describe('the name of a codec', () => {
  const renamed = (name: ClipName, [from, to]: readonly [string, string]): Buffer => {
    const bytes = media.clip(name);
    const at = bytes.indexOf(from, /mkv|webm/.test(name) ? 0 : bytes.indexOf('stsd'));
    expect(at).toBeGreaterThan(0);
    bytes.write(to, at, 'latin1');
    return bytes;
  };

  test.each([
    ['moov-last.mp4', 'avc1', ['hvc1', 'hev1', 'av01', 'vp09', 'mp4v', 'jpeg', 'xxxx', 'avc5']],
    ['hevc.mp4', 'hvc1', ['avc1', 'av01', 'apcn', 'xxxx', 'hvcb']],
    ['av1.mp4', 'av01', ['avc1', 'hvc1', 'vp09', 'av11']],
    ['fragmented.mp4', 'avc1', ['hvc1', 'xxxx']],
    ['prores.mov', 'apco', ['avc1', 'jpeg', 'AVdh', 'xxxx']],
    ['motion-jpeg.mov', 'jpeg', ['avc1', 'apcn', 'png ', 'xxxx']],
    ['matroska.mkv', 'V_MPEG4/ISO/AVC', ['V_MPEG4/ISO/XXX', 'V_MPEG4/ISO/AWC']],
    ['hevc.mkv', 'V_MPEGH/ISO/HEVC', ['V_MPEGH/ISO/HEVX']],
    ['vp8.webm', 'V_VP8', ['V_VP9', 'V_XXX']],
    ['vp9.webm', 'V_VP9', ['V_VP8', 'V_XXX']],
  ] as const)('of %s is compared with its configuration and its frames', (name, from, names) => {
    for (const to of names) {
      expect(problemOf(name, renamed(name, [from, to])), to).toMatch(
        /does not match its|instead of a frame|neither its/,
      );
    }
  });

  test('does not matter if FFmpeg finds the codec by its configuration, or ignores the difference', () => {
    expect(problemOf('a.mp4', renamed('moov-last.mp4', ['avc1', 'avc3']))).toBeUndefined();
    expect(problemOf('a.mp4', renamed('hevc.mp4', ['hvc1', 'hev1']))).toBeUndefined();
    expect(problemOf('a.mp4', renamed('mpeg4.mp4', ['mp4v', 'xxxx']))).toBeUndefined();
    expect(problemOf('a.mp4', renamed('mpeg4.mp4', ['mp4v', 'avc1']))).toBeUndefined();
    expect(problemOf('a.mov', renamed('prores.mov', ['apco', 'apch']))).toBeUndefined();
  });

  test('without a configuration is accepted only if the frames have one', () => {
    const missing = /neither its header nor its first frame|instead of a frame/;
    expect(problemOf('a.mp4', renamed('moov-last.mp4', ['avcC', 'free']))).toMatch(missing);
    expect(problemOf('a.mp4', renamed('hevc.mp4', ['hvcC', 'free']))).toMatch(missing);
    expect(problemOf('a.mp4', renamed('mpeg4.mp4', ['esds', 'free']))).toMatch(missing);
    expect(problemOf('a.mp4', renamed('av1.mp4', ['av1C', 'free']))).toBeUndefined();
  });

  test('that is unknown leaves the frames unchecked', () => {
    const bytes = renamed('mpeg4.mp4', ['mp4v', 'zzzz']);
    bytes.write('free', bytes.indexOf('esds'), 'latin1');
    const [video] = parse('a.mp4', bytes).tracks;
    expect(video).toMatchObject({ kind: 'video', codec: undefined, codecName: 'zzzz', frames: 15 });
  });
});

describe('frames with start codes instead of lengths', () => {
  const withStartCodes = (name: ClipName): Buffer => {
    const bytes = media.clip(name);
    for (const { start, length } of framesOf(bytes)) {
      for (let at = start; at < start + length; ) {
        const next = at + 4 + bytes.readUInt32BE(at);
        bytes.writeUInt32BE(1, at);
        at = next;
      }
    }
    return bytes;
  };

  // FFmpeg 7.1 decodes all 15 frames of the first, and none of the second.
  test('are accepted in H.264, and rejected in HEVC', () => {
    expect(problemOf('a.mp4', withStartCodes('moov-last.mp4'))).toBeUndefined();
    expect(problemOf('a.mp4', withStartCodes('hevc.mp4'))).toContain('other data instead of a frame');
  });
});

describe('the lengths in a frame', () => {
  const isAccepted = (check: ReturnType<typeof frameCheckOf>, length: number): boolean => {
    try {
      check?.(0, length);
      return true;
    } catch (error) {
      expect(error).toBeInstanceOf(StructureError);
      return false;
    }
  };
  const configurationOf = (codec: 'avc' | 'hevc', lengthBytes: number): Buffer => {
    const bytes = Buffer.alloc(codec === 'avc' ? 7 : 23);
    bytes[0] = 1;
    bytes[codec === 'avc' ? 4 : 21] = 0xfc + lengthBytes - 1;
    return bytes;
  };
  const lengths = fc.array(fc.integer({ min: 4, max: 20 }), { minLength: 1, maxLength: 5 });

  test('are read in one to four bytes, and must add up', () => {
    const cases = fc.tuple(fc.constantFrom('avc', 'hevc'), fc.integer({ min: 1, max: 4 }), lengths, fc.nat());
    fc.assert(
      fc.property(cases, ([codec, lengthBytes, units, seed]) => {
        const parts = units.map((unit) => {
          // 0xff is no part of a length that fits in the frame, and no header.
          const bytes = Buffer.alloc(lengthBytes + unit, 0xff);
          bytes.writeUIntBE(unit, 0, lengthBytes);
          bytes.set([0x41, 0x01], lengthBytes);
          return bytes;
        });
        const frame = Buffer.concat(parts);
        const setup = { codec, configuration: configurationOf(codec, lengthBytes) };
        const checkOf = (bytes: Buffer) => frameCheckOf(fileOf(bytes), setup);
        expect(isAccepted(checkOf(frame), frame.length)).toBe(true);
        // FFmpeg ignores up to three bytes at the end.
        expect(isAccepted(checkOf(Buffer.concat([frame, Buffer.alloc(3)])), frame.length + 3)).toBe(true);
        expect(isAccepted(checkOf(Buffer.concat([frame, Buffer.alloc(4)])), frame.length + 4)).toBe(false);
        const changed = seed % units.length;
        const at = parts.slice(0, changed).reduce((sum, part) => sum + part.length, 0);
        const unit = units[changed] ?? 0;
        for (const other of [0, 255]) {
          const damaged = Buffer.from(frame);
          damaged.writeUIntBE(other, at, lengthBytes);
          expect(isAccepted(checkOf(damaged), frame.length), `${other} instead of ${unit}`).toBe(false);
        }
      }),
      { numRuns: 200 },
    );
  });

  test('of AV1 must add up too', () => {
    fc.assert(
      fc.property(lengths, fc.nat(), (units, seed) => {
        // A frame, then padding, with lengths of one byte.
        const parts = units.map((unit, index) => {
          const bytes = Buffer.alloc(2 + unit, 0xff);
          bytes.set([index === 0 ? 0x32 : 0x7a, unit]);
          return bytes;
        });
        const frame = Buffer.concat(parts);
        const checkOf = (bytes: Buffer) =>
          frameCheckOf(fileOf(bytes), { codec: 'av1', configuration: Buffer.alloc(4) });
        expect(isAccepted(checkOf(frame), frame.length)).toBe(true);
        const changed = seed % units.length;
        const at = parts.slice(0, changed).reduce((sum, part) => sum + part.length, 1);
        const isLast = changed === units.length - 1;
        for (const other of isLast ? [(units[changed] ?? 0) + 1, 127] : [127]) {
          const damaged = Buffer.from(frame);
          damaged[at] = other;
          expect(isAccepted(checkOf(damaged), frame.length)).toBe(false);
        }
      }),
      { numRuns: 100 },
    );
  });

  test('of VP9 frames that share a packet must fit before their index', () => {
    const frame = (bytes: number): Buffer => Buffer.concat([Buffer.of(0x86), Buffer.alloc(bytes - 1, 0x11)]);
    const packet = (sizes: readonly [number, number]): Buffer =>
      Buffer.concat([frame(30), frame(20), Buffer.of(0xc1, ...sizes, 0xc1)]);
    const accepts = (bytes: Buffer): boolean =>
      isAccepted(frameCheckOf(fileOf(bytes), { codec: 'vp9', configuration: undefined }), bytes.length);
    expect(accepts(packet([30, 20]))).toBe(true);
    expect(accepts(packet([30, 21]))).toBe(false);
    expect(accepts(packet([29, 20]))).toBe(false);
    expect(accepts(frame(40))).toBe(true);
    expect(accepts(Buffer.alloc(40))).toBe(false);
  });

  test('of a ProRes frame must fit in it', () => {
    const bytes = media.clip('prores.mov');
    const [first] = framesOf(bytes);
    const { start, length } = first!;
    const frame = bytes.subarray(start, start + length);
    const accepts = (offset: number, value: number): boolean => {
      const damaged = Buffer.from(frame);
      if (offset >= 0) damaged.writeUInt16BE(value, offset);
      return isAccepted(frameCheckOf(fileOf(damaged), { codec: 'prores', configuration: undefined }), length);
    };
    expect(accepts(-1, 0)).toBe(true);
    const picture = 8 + frame.readUInt16BE(8);
    const table = picture + (frame[picture]! >> 3);
    expect(accepts(0, 0x7fff)).toBe(false);
    expect(accepts(picture + 1, 0x7fff)).toBe(false);
    expect(accepts(picture + 5, 0xffff)).toBe(false);
    expect(accepts(table, 0xffff)).toBe(false);
  });
});
