import { box, fullBox } from './boxes.js';
import { configuration, greyVideo } from './h264.js';
import { u16, u32, u32s } from './hostile-file.js';

export const FTYP = box('ftyp', Buffer.from('isom'), u32(512), Buffer.from('isomavc1'));
/** The pictures of every track that does not bring its own. */
export const VIDEO = greyVideo({ across: 4, down: 4 });
const IDENTITY = u32s(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000);

/** The payloads of the tables of a track, after version and flags. */
export interface Tables {
  readonly stts: Buffer;
  readonly stsc: Buffer;
  readonly stsz: Buffer;
  readonly stco: Buffer;
  readonly others?: readonly Buffer[];
}

/** A track of pictures; `id` counts from 1. */
export function trackOf(
  tables: Tables,
  options: { id?: number; side?: number; entry?: Buffer; edits?: Buffer } = {},
): Buffer {
  const { id = 1, side = 64, edits = Buffer.alloc(0) } = options;
  const visual = Buffer.concat([
    Buffer.alloc(6),
    u16(1),
    Buffer.alloc(16),
    u16(side),
    u16(side),
    u32s(0x480000, 0x480000, 0),
    u16(1),
    Buffer.alloc(32),
    u16(24),
    u16(0xffff),
  ]);
  const entry = options.entry ?? box('avc1', visual, box('avcC', configuration(VIDEO)));
  const table = box(
    'stbl',
    fullBox('stsd', 0, 0, u32(1), entry),
    fullBox('stts', 0, 0, tables.stts),
    fullBox('stsc', 0, 0, tables.stsc),
    fullBox('stsz', 0, 0, tables.stsz),
    fullBox('stco', 0, 0, tables.stco),
    ...(tables.others ?? []),
  );
  const dinf = box('dinf', fullBox('dref', 0, 0, u32(1), fullBox('url ', 0, 1)));
  const header = fullBox(
    'tkhd',
    0,
    3,
    u32s(0, 0, id, 0, 1000),
    Buffer.alloc(16),
    IDENTITY,
    u16(side),
    u16(0),
    u16(side),
    u16(0),
  );
  const minf = box('minf', fullBox('vmhd', 0, 1, Buffer.alloc(8)), dinf, table);
  const hdlr = fullBox('hdlr', 0, 0, u32(0), Buffer.from('vide'), Buffer.alloc(13));
  const mdia = box('mdia', fullBox('mdhd', 0, 0, u32s(0, 0, 1000, 0, 0)), hdlr, minf);
  return box('trak', header, edits, mdia);
}

const MOVIE_HEADER = fullBox(
  'mvhd',
  0,
  0,
  u32s(0, 0, 1000, 1000, 0x10000),
  u16(0x100),
  Buffer.alloc(10),
  IDENTITY,
  Buffer.alloc(24),
  u32(2),
);

export const moovOf = (...parts: Buffer[]): Buffer => box('moov', MOVIE_HEADER, ...parts);
