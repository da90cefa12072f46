import { big, concat, u16, u32 } from '../fixtures/bytes.js';
import { configuration, type GreyVideo, greyVideo } from './h264.js';
import { generated } from './hostile-file.js';

/** A box of the ISO base media file format. */
export function box(type: string, ...payload: Buffer[]): Buffer {
  const bytes = Buffer.concat(payload);
  return concat(u32(bytes.length + 8), type, bytes);
}

/** A box with version and flags. */
export const fullBox = (type: string, version: number, flags: number, ...payload: Buffer[]): Buffer =>
  box(type, u32((version << 24) | flags), ...payload);

/** Boxes within boxes, `depth` deep, each as long as what is left. */
export function nested(type: string, depth: number): Buffer {
  return concat(...generated(depth, (level) => concat(big(4, (depth - level) * 8), type)));
}

export const FTYP = box('ftyp', concat('isom', u32(512), 'isomavc1'));
/** The pictures of every track that does not bring its own. */
export const VIDEO = greyVideo({ across: 4, down: 4 });
const IDENTITY = u32(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000);

/** The payloads of the tables of a track, after version and flags. */
export interface Tables {
  readonly stts: Buffer;
  readonly stsc: Buffer;
  readonly stsz: Buffer;
  readonly stco: Buffer;
  readonly others?: readonly Buffer[];
}

/** The description of the pictures of a track. */
export function sampleEntry(type: string, video: GreyVideo, [width, height]: readonly [number, number]): Buffer {
  const sides = concat(u16(width, height), u32(0x480000, 0x480000, 0), u16(1));
  const visual = concat(Buffer.alloc(6), u16(1), Buffer.alloc(16), sides, Buffer.alloc(32), u16(24, 0xffff));
  return box(type, visual, box('avcC', configuration(video)));
}

/** A track of pictures. */
export function trackOf(
  { others = [], ...tables }: Tables,
  { entry = sampleEntry('avc1', VIDEO, [64, 64]), edits = Buffer.alloc(0) as Buffer } = {},
): Buffer {
  const { stts, stsc, stsz, stco } = tables;
  const ordered = Object.entries({ stts, stsc, stsz, stco }).map(([type, table]) => fullBox(type, 0, 0, table));
  const table = box('stbl', fullBox('stsd', 0, 0, u32(1), entry), ...ordered, ...others);
  const dinf = box('dinf', fullBox('dref', 0, 0, u32(1), fullBox('url ', 0, 1)));
  const place = [u32(0, 0, 1, 0, 1000), Buffer.alloc(16), IDENTITY, u16(64, 0, 64, 0)];
  const minf = box('minf', fullBox('vmhd', 0, 1, Buffer.alloc(8)), dinf, table);
  const hdlr = fullBox('hdlr', 0, 0, u32(0), Buffer.from('vide'), Buffer.alloc(13));
  const mdia = box('mdia', fullBox('mdhd', 0, 0, u32(0, 0, 1000, 0, 0)), hdlr, minf);
  return box('trak', fullBox('tkhd', 0, 3, ...place), edits, mdia);
}

const HEAD = [u32(0, 0, 1000, 1000, 0x10000), u16(0x100), Buffer.alloc(10), IDENTITY, Buffer.alloc(24), u32(2)];

export const moovOf = (...parts: Buffer[]): Buffer => box('moov', fullBox('mvhd', 0, 0, ...HEAD), ...parts);
