import { concat, u16, u32 } from '../fixtures/bytes.js';
import * as media from '../fixtures/media.js';
import { filesOf, generated, joined, many, repeated } from './hostile-file.js';
import { box, fullBox } from './movie.js';

const FTYP = box('ftyp', concat('avif', u32(0), 'mif1avif'));
const HANDLER = fullBox('hdlr', 0, 0, concat(u32(0), 'pict', Buffer.alloc(13)));
const PRIMARY = fullBox('pitm', 0, 0, u16(1));
const SIZE = fullBox('ispe', 0, 0, u32(64, 64));
const properties = (container: Buffer, associations: Buffer): Buffer =>
  box('iprp', box('ipco', container), fullBox('ipma', 0, 0, associations));
const itemInfo = (...items: Buffer[]) => fullBox('iinf', 0, 0, u16(items.length), ...items);
const item = (id: number, type: string) => fullBox('infe', 2, 0, u16(id, 0), concat(type, [0]));

/** The association of one item with one property. */
const FIRST = concat(u16(1), [1, 1]);
const oneProperty = properties(SIZE, concat(u32(1), FIRST));
const oneLocation = fullBox('iloc', 0, 0, concat([0x44, 0], u16(1, 1, 0, 1), u32(0, 0)));

/** `meta` is the first box with version and flags; its other boxes follow. */
const container = (...boxes: Buffer[]): Buffer[] => [
  ...[FTYP, fullBox('meta', 0, 0, HANDLER, PRIMARY, itemInfo(item(1, 'av01')), ...boxes)],
  box('mdat', Buffer.alloc(64)),
];

/** Items with 65,535 extents each: offsets and lengths of zero bytes, so that an extent takes no bytes of the file. */
function weightlessExtents(items: number): Buffer {
  const one = (index: number) => concat(u32(index + 1), u16(0, 0, 0xffff));
  return fullBox('iloc', 2, 0, concat([0, 0], u32(items)), ...generated(items, one));
}

/** Extents whose length is zero, in eight bytes each. */
function emptyExtents(count: number): Buffer {
  const items = Math.ceil(count / 65_535);
  const one = (index: number) => concat(u16(index + 1, 0, 65_535), Buffer.alloc(8 * 65_535));
  return fullBox('iloc', 0, 0, concat([0x44, 0], u16(items)), ...generated(items, one));
}

/** Grids of grids: each refers to the next one so many times, so that the number of tiles grows as a power. */
async function nestedGrids(depth: number): Promise<Buffer[]> {
  const tiles = 256;
  const picture = await media.avif({ width: 64, height: 64 });
  const at = (type: string) => {
    const start = picture.indexOf(type) - 4;
    return picture.subarray(start, start + picture.readUInt32BE(start));
  };
  const pixels = at('mdat').subarray(8);
  const ids = Array.from({ length: depth + 1 }, (_, i) => i + 1);
  const isTile = (id: number) => id === depth + 1;
  const refs = ids.slice(0, -1).map((id) => box('dimg', u16(id, tiles, ...Array(tiles).fill(id + 1))));
  const grid = concat([0, 0, tiles - 1, 0], u16(64, 64));
  const place = (id: number) => (isTile(id) ? u32(0xdead, pixels.length) : u32(0, grid.length));
  const locations = ids.map((id) => concat(u16(id, isTile(id) ? 0 : 1, 0, 1), place(id)));
  const associations = ids.map((id) => concat(u16(id), isTile(id) ? [2, 1, 2] : [1, 1]));
  const boxes = [
    itemInfo(...ids.map((id) => item(id, isTile(id) ? 'av01' : 'grid'))),
    fullBox('iref', 0, 0, ...refs),
    box('idat', grid),
    fullBox('iloc', 1, 0, concat([0x44, 0], u16(ids.length)), ...locations),
    properties(concat(SIZE, at('av1C')), concat(u32(ids.length), ...associations)),
  ];
  const whole = concat(FTYP, fullBox('meta', 0, 0, HANDLER, PRIMARY, ...boxes));
  whole.writeUInt32BE(whole.length + 8, whole.indexOf(u32(0xdead)));
  return [whole, box('mdat', pixels)];
}

/** A real picture, changed to declare another size. */
async function declared(side: number): Promise<Buffer[]> {
  const bytes = await media.avif();
  u32(side, side).copy(bytes, bytes.indexOf('ispe') + 8);
  return [bytes];
}

const FREE = box('free');

const located = (own: Buffer, associations: Buffer) => container(properties(own, associations), oneLocation);

export const HEIFS = filesOf({
  'weightless-extents.avif': () => container(oneProperty, weightlessExtents(90_000)),
  'empty-extents.avif': () => container(oneProperty, emptyExtents(1_000_000)),
  'many-properties.avif': () => located(concat(SIZE, many(FREE, 400_000)), concat(u32(1), FIRST)),
  'associations-of-the-count.avif': () => located(SIZE, concat(u32(0xffff_ffff), FIRST)),
  'many-boxes.avif': () => joined(...container(oneProperty, oneLocation), repeated(FREE, 1_100_000)),
  'grids-of-grids.avif': () => nestedGrids(8),
  'declared-within-the-decoder-budget.avif': () => declared(1900),
});
