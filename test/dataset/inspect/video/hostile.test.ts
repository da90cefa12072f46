import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FileBytes } from '../../../../src/dataset/inspect/byte-source.js';
import { InspectionError, StructureError } from '../../../../src/dataset/inspect/inspection-error.js';
import { readMatroska } from '../../../../src/dataset/inspect/video/matroska/matroska.js';
import { readMp4 } from '../../../../src/dataset/inspect/video/mp4.js';
import type { Movie } from '../../../../src/dataset/inspect/video/video-facts.js';
import * as media from '../../../fixtures/media.js';
import { fileOf } from './file-of.js';

/** Reads that a parser may make for each byte of a file, and for any file. */
const READS_PER_BYTE = 12;
const READS = 5000;

/**
 * Parses a file and counts the reads, of which each step of each loop makes at least one. Any exception but those for a
 * damaged file fails the test, as does a parser that reads more often than the bytes of the file allow.
 */
function parsed(parse: (file: FileBytes) => Movie, bytes: Buffer): { movie?: Movie; problem?: string; reads: number } {
  const { at, upTo } = FileBytes.prototype;
  const limit = READS + READS_PER_BYTE * bytes.length;
  let reads = 0;
  const count = (): void => {
    if (++reads > limit) throw new Error(`more than ${limit} reads of a file of ${bytes.length} bytes`);
  };
  FileBytes.prototype.at = function (...range) {
    count();
    return at.apply(this, range);
  };
  FileBytes.prototype.upTo = function (...range) {
    count();
    return upTo.apply(this, range);
  };
  try {
    return { movie: parse(fileOf(bytes)), reads };
  } catch (error) {
    if (error instanceof StructureError || error instanceof InspectionError) return { problem: error.message, reads };
    throw error;
  } finally {
    Object.assign(FileBytes.prototype, { at, upTo });
  }
}

const words = (...values: readonly number[]): Buffer => wordsOf(values);

const wordsOf = (values: readonly number[]): Buffer => {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, index) => {
    bytes.writeUInt32BE(value >>> 0, index * 4);
  });
  return bytes;
};

const box = (type: string, ...content: readonly Buffer[]): Buffer => {
  const payload = Buffer.concat(content);
  return Buffer.concat([words(payload.length + 8), Buffer.from(type, 'latin1'), payload]);
};

/** The header of a movie with one video track of the codec `zzzz`, or of another description. */
function moov(tables: readonly Buffer[], { description = Buffer.alloc(78) } = {}): Buffer {
  const stsd = box('stsd', words(0, 1), box('zzzz', description));
  const media_ = box(
    'mdia',
    box('mdhd', words(0, 0, 0, 1000, 0, 0)),
    box('hdlr', words(0, 0), Buffer.from('vide'), words(0, 0, 0)),
    box('minf', box('stbl', stsd, ...tables)),
  );
  return box('moov', box('mvhd', Buffer.alloc(100)), box('trak', box('tkhd', Buffer.alloc(84)), media_));
}

const ftyp = box('ftyp', Buffer.from('isom\0\0\x02\0isom', 'latin1'));

describe('random boxes and elements', () => {
  const types =
    'moov mvhd trak tkhd mdia mdhd hdlr minf stbl stsd stts stsc stsz stz2 stco co64 mvex trex mehd moof traf';
  const more = 'tfhd trun mdat sidx free avc1 avcC hvc1 hvcC esds mp4v av01 apcn';
  const boxType = fc.constantFrom(...types.split(' '), ...more.split(' '));
  const word = fc.oneof(
    fc.constantFrom(0, 1, 2, 8, 12, 16, 0x101, 0x701, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff),
    fc.nat({ max: 64 }),
  );
  const leaf = fc.array(word, { maxLength: 24 }).map((values) => words(...values));
  /** Now and then, a size that is not that of the content. */
  const size = fc.option(word, { freq: 12, nil: undefined });
  const { node } = fc.letrec<{ node: Buffer; content: Buffer }>((tie) => ({
    content: fc.oneof({ depthSize: 'small' }, leaf, fc.array(tie('node'), { maxLength: 6 }).map(Buffer.concat)),
    node: fc.tuple(boxType, tie('content'), size).map(([type, content, lie]) => {
      const bytes = box(type, content);
      if (lie !== undefined) bytes.writeUInt32BE(lie, 0);
      return bytes;
    }),
  }));
  const files = fc.array(node, { minLength: 1, maxLength: 12 }).map((boxes) => Buffer.concat([ftyp, ...boxes]));

  test('of MP4 give a result or an error, and cost no more reads than they have bytes', () => {
    fc.assert(
      fc.property(files, (bytes) => {
        parsed(readMp4, bytes);
      }),
      { numRuns: 1500 },
    );
  });

  /** A number of a table in the tables of an intact track, and around it what a fragment and an index say. */
  test('of MP4 inside a valid header, too', () => {
    const table = (type: string) => leaf.map((content) => box(type, words(0), content));
    const tables = fc.tuple(table('stts'), table('stsc'), table('stsz'), fc.oneof(table('stco'), table('co64')));
    const run = fc.tuple(word, word, leaf).map(([flags, count, list]) => box('trun', words(flags, count), list));
    const traf = fc
      .tuple(word, leaf, run)
      .map(([flags, fields, trun]) => box('traf', box('tfhd', words(flags & 0xffffff, 0), fields), trun));
    const fragments = fc.array(traf, { maxLength: 3 }).map((trafs) => box('moof', ...trafs));
    fc.assert(
      fc.property(tables, fragments, leaf, (stbl, moof, sidx) => {
        const index = box('sidx', words(0, 1, 1000, 0), sidx);
        parsed(readMp4, Buffer.concat([ftyp, index, moov(stbl), moof, box('mdat', Buffer.alloc(200, 1))]));
      }),
      { numRuns: 1500 },
    );
  });

  const ids = ['1a45dfa3', '18538067', '1549a966', '2ad7b1', '4489', '1654ae6b', 'ae', 'd7', '83', '86', '63a2', 'e0'];
  const moreIds = ['b0', 'ba', '7670', '7675', '1f43b675', 'e7', 'a3', 'a0', 'a1', 'ec', 'bf', '114d9b74', '1c53bb6b'];
  const id = fc.constantFrom(...ids, ...moreIds).map((hex) => Buffer.from(hex, 'hex'));
  const elementSize = fc.option(
    fc.constantFrom('80', '81', 'ff', '01ffffffffffffff', '01fffffffffffffe', '40ff', '00'),
    {
      freq: 10,
      nil: undefined,
    },
  );
  const elements = fc.letrec<{ node: Buffer; content: Buffer }>((tie) => ({
    content: fc.oneof(
      { depthSize: 'small' },
      fc.uint8Array({ maxLength: 24 }).map((each) => Buffer.from(each)),
      fc.array(tie('node'), { maxLength: 6 }).map(Buffer.concat),
    ),
    node: fc.tuple(id, tie('content'), elementSize).map(([name, content, lie]) => {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(0x4000 + Math.min(content.length, 0x3ffe));
      return Buffer.concat([name, lie === undefined ? length : Buffer.from(lie, 'hex'), content]);
    }),
  })).node;
  const segments = fc.array(elements, { maxLength: 12 }).map((parts) => {
    const start = '1a45dfa380' + '18538067' + '01ffffffffffffff';
    return Buffer.concat([Buffer.from(start, 'hex'), ...parts]);
  });

  test('of Matroska give a result or an error, and cost no more reads than they have bytes', () => {
    fc.assert(
      fc.property(segments, (bytes) => {
        parsed(readMatroska, bytes);
      }),
      { numRuns: 1500 },
    );
  });

  test('in place of numbers of a real clip, too', () => {
    const names = media.CLIPS.filter((name) => /mp4|mov|m4v|webm|mkv/.test(name));
    const clips = names.map((name) => ({
      parse: /webm|mkv/.test(name) ? readMatroska : readMp4,
      bytes: media.clip(name),
    }));
    const changes = fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), word), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(fc.constantFrom(...clips), fc.boolean(), changes, ({ parse, bytes }, isHeader, list) => {
        const copy = Buffer.from(bytes);
        const start = isHeader ? Math.max(0, bytes.indexOf('moov')) : 0;
        const length = isHeader ? Math.min(900, bytes.length - start) : bytes.length;
        for (const [part, value] of list) copy.writeUInt32BE(value, Math.floor(start + part * (length - 4)));
        parsed(parse, copy);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('a crafted file', () => {
  const many = (count: number, part: Buffer): Buffer => Buffer.alloc(count * part.length, part);

  test('with an index of 25,000 segments in each box of a few bytes is rejected', () => {
    for (const sidx of [box('sidx'), box('sidx', words(0, 0, 0, 0, 0, 25_000))]) {
      const { problem } = parsed(readMp4, Buffer.concat([ftyp, many(20_000, sidx)]));
      expect(problem).toContain('its sidx box is shorter than its list');
    }
  });

  test('of 200,000 parts of media data, in which each chunk lies in another one, is read like any other', () => {
    const parts = 200_000;
    const mdat = box('mdat', Buffer.of(1));
    const order = Array.from({ length: parts }, (_, chunk) => (chunk * 77_777) % parts);
    const tables = (dataAt: number) => [
      box('stts', words(0, 1, parts, 1)),
      box('stsc', words(0, 1, 1, 1, 1)),
      box('stsz', words(0, 1, parts)),
      box('stco', words(0, parts), wordsOf(order.map((part) => dataAt + part * 9 + 8))),
    ];
    const dataAt = ftyp.length + moov(tables(0)).length;
    const { movie } = parsed(readMp4, Buffer.concat([ftyp, moov(tables(dataAt)), many(parts, mdat)]));
    expect(movie).toMatchObject({ tracks: [{ frames: parts }] });
  });

  test('whose chunks all have the same bytes is not read again for each', () => {
    const chunks = 20_000;
    const frame = Buffer.concat(Array.from({ length: 500 }, () => Buffer.from('000000020901', 'hex')));
    const avcC = box('avcC', Buffer.from('01640000ffe00000', 'hex'));
    const description = Buffer.concat([Buffer.alloc(78), avcC]);
    const tables = (dataAt: number) => [
      box('stts', words(0, 1, chunks, 1)),
      box('stsc', words(0, 1, 1, 1, 1)),
      box('stsz', words(0, frame.length, chunks)),
      box('stco', words(0, chunks), wordsOf(Array.from({ length: chunks }, () => dataAt))),
    ];
    const header = (dataAt: number): Buffer => {
      const bytes = moov(tables(dataAt), { description });
      bytes.write('avc1', bytes.indexOf('zzzz'), 'latin1');
      return bytes;
    };
    const dataAt = ftyp.length + header(0).length + 8;
    const { movie } = parsed(readMp4, Buffer.concat([ftyp, header(dataAt), box('mdat', frame)]));
    expect(movie).toMatchObject({ tracks: [{ frames: chunks, codec: 'avc' }] });
  });

  test('that claims billions of frames without bytes is rejected', () => {
    const empty = [
      box('stts', words(0, 0)),
      box('stsc', words(0, 0)),
      box('stsz', words(0, 0, 0)),
      box('stco', words(0, 0)),
    ];
    const trun = box('trun', words(0, 0xffff_fff0));
    const moof = box('moof', box('traf', box('tfhd', words(0, 0)), trun));
    const { problem } = parsed(readMp4, Buffer.concat([ftyp, moov(empty), moof]));
    expect(problem).toContain('more than it has bytes');
    const uniform = [
      box('stts', words(0, 1, 9, 1)),
      box('stsc', words(0, 1, 1, 9, 1)),
      box('stsz', words(0, 1, 0xffff_fff0)),
    ];
    const claimed = parsed(readMp4, Buffer.concat([ftyp, moov([...uniform, box('stco', words(0, 1, 8))])]));
    expect(claimed.problem).toContain('more than it has bytes');
  });

  test('of a million empty boxes or elements is rejected, or read in one pass', () => {
    const free = parsed(readMp4, Buffer.concat([ftyp, many(1_000_001, box('free'))]));
    expect(free.problem).toContain('a million boxes');
    const nested = parsed(readMp4, Buffer.concat([ftyp, box('moov', many(300_000, box('free')))]));
    expect(nested.problem).toContain('mvhd');
    const start = Buffer.from('1a45dfa38018538067' + '01ffffffffffffff', 'hex');
    const voids = parsed(readMatroska, Buffer.concat([start, many(300_000, Buffer.from('ec80', 'hex'))]));
    expect(voids).toMatchObject({ movie: { tracks: [] } });
    const track = Buffer.from('ae80', 'hex');
    const size = Buffer.from('0100000000061a80', 'hex');
    const tracks = Buffer.concat([Buffer.from('1654ae6b', 'hex'), size, many(200_000, track)]);
    expect(parsed(readMatroska, Buffer.concat([start, tracks])).reads).toBeLessThan(10_000);
  });

  test('of hundreds of tracks is rejected', () => {
    const start = Buffer.from('1a45dfa38018538067' + '01ffffffffffffff' + '1654ae6b', 'hex');
    const entries = Array.from({ length: 300 }, (_, number) =>
      Buffer.from(`ae84d782${number.toString(16).padStart(4, '0')}`, 'hex'),
    );
    const tracks = Buffer.concat([start, Buffer.of(0x40 + ((300 * 6) >> 8), (300 * 6) & 255), ...entries]);
    expect(parsed(readMatroska, tracks).problem).toContain('hundreds of tracks');
    const trex = Array.from({ length: 300 }, (_, id) => box('trex', words(0, id, 1, 0, 0, 0)));
    const mvex = box('moov', box('mvhd', Buffer.alloc(100)), box('mvex', ...trex));
    expect(parsed(readMp4, Buffer.concat([ftyp, mvex])).problem).toContain('hundreds of tracks');
  });

  test.each([
    ['infinite', Number.POSITIVE_INFINITY],
    ['negative', -5000],
    ['no number', Number.NaN],
    ['of minus infinity', Number.NEGATIVE_INFINITY],
  ])('of Matroska whose duration is %s is read as one without', (_, duration) => {
    const bytes = media.clip('vp8.webm');
    bytes.writeDoubleBE(duration, bytes.indexOf(Buffer.from([0x44, 0x89, 0x88])) + 3);
    const { movie } = parsed(readMatroska, bytes);
    expect(movie).toMatchObject({ durationSeconds: expect.closeTo(0.94, 1), tracks: [{ frames: 15 }] });
  });

  test('of Matroska whose time scale is zero is read with the usual one', () => {
    const bytes = media.clip('vp8.webm');
    const at = bytes.indexOf(Buffer.from([0x2a, 0xd7, 0xb1, 0x83])) + 4;
    bytes.fill(0, at, at + 3);
    expect(parsed(readMatroska, bytes).movie).toMatchObject({ durationSeconds: 1, tracks: [{ frames: 15 }] });
  });
});
