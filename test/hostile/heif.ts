import * as media from '../fixtures/media.js';
import { box, fullBox } from './boxes.js';
import { generated, type HostileFile, joined, repeated, u16, u32, u32s, u8 } from './hostile-file.js';

type Brand = 'avif' | 'heic';

const ftyp = (brand: Brand): Buffer => box('ftyp', Buffer.from(brand), u32(0), Buffer.from('mif1'), Buffer.from(brand));
const PRIMARY = fullBox('pitm', 0, 0, u16(1));
const handler = fullBox('hdlr', 0, 0, u32(0), Buffer.from('pict'), Buffer.alloc(13));
const size = (width: number, height: number): Buffer => fullBox('ispe', 0, 0, u32s(width, height));
const properties = (container: Buffer, associations: Buffer): Buffer =>
  box('iprp', box('ipco', container), fullBox('ipma', 0, 0, associations));
const oneProperty = properties(size(64, 64), Buffer.concat([u32(1), u16(1), u8(1, 1)]));

/** `meta` is the first box with version and flags; its other boxes follow. */
function container(brand: Brand, ...boxes: Buffer[]): Buffer[] {
  const [hdlr, iinf] = [
    handler,
    fullBox('iinf', 0, 0, u16(1), fullBox('infe', 2, 0, u16(1), u16(0), Buffer.from('av01'), u8(0))),
  ];
  return [ftyp(brand), fullBox('meta', 0, 0, hdlr, PRIMARY, iinf, ...boxes), box('mdat', Buffer.alloc(64))];
}

/** Items with 65,535 extents each: offsets and lengths of zero bytes, so that an extent takes no bytes of the file. */
function weightlessExtents(items: number): Buffer {
  const item = (index: number) => Buffer.concat([u32(index + 1), u16(0), u16(0), u16(0xffff)]);
  return fullBox('iloc', 2, 0, u8(0, 0), u32(items), ...generated(items, item));
}

/** Extents whose length is zero, in eight bytes each. */
function emptyExtents(count: number): Buffer {
  return fullBox(
    'iloc',
    0,
    0,
    u8(0x44, 0),
    u16(Math.ceil(count / 65_535)),
    ...generated(Math.ceil(count / 65_535), (index) =>
      Buffer.concat([u16(index + 1), u16(0), u16(65_535), Buffer.alloc(8 * 65_535)]),
    ),
  );
}

const oneLocation = fullBox('iloc', 0, 0, u8(0x44, 0), u16(1), u16(1), u16(0), u16(1), u32s(0, 0));

/** Grids of grids: each refers to the next one so many times, so that the number of tiles grows as a power. */
async function nestedGrids({ depth, tiles }: { depth: number; tiles: number }): Promise<Buffer[]> {
  const picture = await media.avif({ width: 64, height: 64 });
  const at = (type: string) => {
    const start = picture.indexOf(type) - 4;
    return picture.subarray(start, start + picture.readUInt32BE(start));
  };
  const pixels = at('mdat').subarray(8);
  const ids = Array.from({ length: depth + 1 }, (_, i) => i + 1);
  const isTile = (id: number) => id === depth + 1;
  const infe = ids.map((id) =>
    fullBox('infe', 2, 0, u16(id), u16(0), Buffer.from(isTile(id) ? 'av01' : 'grid'), u8(0)),
  );
  const refs = ids
    .slice(0, -1)
    .map((id) => box('dimg', u16(id), u16(tiles), ...Array.from({ length: tiles }, () => u16(id + 1))));
  const grid = u8(0, 0, tiles - 1, 0);
  const sides = Buffer.concat([u16(64), u16(64)]);
  const idat = box('idat', grid, sides);
  const locations = ids.map((id) =>
    Buffer.concat([
      u16(id),
      u16(isTile(id) ? 0 : 1),
      u16(0),
      u16(1),
      u32s(isTile(id) ? 0xdead : 0, isTile(id) ? pixels.length : grid.length + 4),
    ]),
  );
  const associations = ids.map((id) =>
    isTile(id) ? Buffer.concat([u16(id), u8(2, 1, 2)]) : Buffer.concat([u16(id), u8(1, 1)]),
  );
  const boxes = [
    fullBox('iinf', 0, 0, u16(ids.length), ...infe),
    fullBox('iref', 0, 0, ...refs),
    idat,
    fullBox('iloc', 1, 0, u8(0x44, 0), u16(ids.length), ...locations),
    properties(Buffer.concat([size(64, 64), at('av1C')]), Buffer.concat([u32(ids.length), ...associations])),
  ];
  const whole = Buffer.concat([ftyp('avif'), fullBox('meta', 0, 0, handler, PRIMARY, ...boxes)]);
  whole.writeUInt32BE(whole.length + 8, whole.indexOf(u32(0xdead)));
  return [whole, box('mdat', pixels)];
}

/** A real picture, changed to declare another size. */
async function declared(width: number, height: number): Promise<Buffer[]> {
  const bytes = await media.avif();
  const at = bytes.indexOf('ispe') + 8;
  bytes.writeUInt32BE(width, at);
  bytes.writeUInt32BE(height, at + 4);
  return [bytes];
}

function ofBrand(brand: Brand): HostileFile[] {
  return [
    { filename: `weightless-extents.${brand}`, pieces: () => container(brand, oneProperty, weightlessExtents(90_000)) },
    { filename: `empty-extents.${brand}`, pieces: () => container(brand, oneProperty, emptyExtents(1_000_000)) },
    {
      filename: `many-properties.${brand}`,
      pieces: () =>
        container(
          brand,
          properties(
            Buffer.concat([size(64, 64), ...repeated(box('free'), 400_000)]),
            Buffer.concat([u32(1), u16(1), u8(1, 1)]),
          ),
          oneLocation,
        ),
    },
    {
      filename: `many-associations.${brand}`,
      pieces: () =>
        container(
          brand,
          properties(size(64, 64), Buffer.concat([u32(400_001), ...repeated(u8(0, 2, 0), 400_000), u16(1), u8(1, 1)])),
          oneLocation,
        ),
    },
    {
      filename: `associations-of-the-count.${brand}`,
      pieces: () =>
        container(brand, properties(size(64, 64), Buffer.concat([u32(0xffff_ffff), u16(1), u8(1, 1)])), oneLocation),
    },
    {
      filename: `many-boxes.${brand}`,
      pieces: () => joined(...container(brand, oneProperty, oneLocation), repeated(box('free'), 1_100_000)),
    },
    {
      filename: `boxes-in-meta.${brand}`,
      pieces: () => container(brand, ...repeated(box('free'), 600_000), oneProperty, oneLocation),
    },
  ];
}

export const HEIFS: readonly HostileFile[] = [
  ...ofBrand('avif'),
  ...ofBrand('heic'),
  { filename: 'grids-of-grids.avif', pieces: () => nestedGrids({ depth: 8, tiles: 256 }) },
  { filename: 'grids-two-deep.avif', pieces: () => nestedGrids({ depth: 2, tiles: 256 }) },
  { filename: 'grid-of-tiles.avif', pieces: () => nestedGrids({ depth: 1, tiles: 256 }) },
  { filename: 'declared-largest.avif', pieces: () => declared(13_376, 13_376) },
  { filename: 'declared-within-the-decoder-budget.avif', pieces: () => declared(1900, 1900) },
];
