import { between, bitFlipped, type Damage, type Damages, oneOf, overwritten, randomBytes, without } from './bytes.js';

/** Boxes of MP4 that contain boxes. */
const CONTAINERS = new Set('moov trak mdia minf stbl moof traf edts mvex udta'.split(' '));

interface Box {
  readonly type: string;
  readonly start: number;
  readonly data: number;
  readonly end: number;
}

function boxesOf(bytes: Buffer, from = 0, to = bytes.length): Box[] {
  const boxes: Box[] = [];
  for (let at = from; at + 8 <= to; ) {
    let size = bytes.readUInt32BE(at);
    let data = at + 8;
    if (size === 1 && at + 16 <= to) {
      size = Number(bytes.readBigUInt64BE(at + 8));
      data = at + 16;
    }
    if (size === 0) size = to - at;
    if (size < data - at || at + size > to) break;
    const type = bytes.toString('latin1', at + 4, at + 8);
    boxes.push({ type, start: at, data, end: at + size });
    if (CONTAINERS.has(type)) boxes.push(...boxesOf(bytes, data, at + size));
    at += size;
  }
  return boxes;
}

const isMp4 = (bytes: Buffer): boolean => /^(ftyp|moov|mdat|free|wide|skip)$/.test(bytes.toString('latin1', 4, 8));

/** On one of the boxes of these types, as in `stco co64`. */
function onBox(types: string, change: (bytes: Buffer, box: Box, random: () => number) => Buffer | undefined): Damage {
  return (bytes, random) => {
    if (!isMp4(bytes)) return undefined;
    const boxes = boxesOf(bytes).filter(({ type, data, end }) => types.split(' ').includes(type) && end > data);
    const box = oneOf(boxes, random);
    return box && change(bytes, box, random);
  };
}

/** Flips a bit of one of these boxes, after the version and flags. */
const flipIn = (types: string): Damage =>
  onBox(types, (bytes, { data, end }, random) =>
    end - data <= 4 ? undefined : bitFlipped(bytes, between(data + 4, end, random), random),
  );

/** Adds to every offset of every `stco` and `co64`, as a rewrite of the header without new offsets does. */
function shiftOffsets(by: number): Damage {
  return (bytes) => {
    if (!isMp4(bytes)) return undefined;
    const copy = Buffer.from(bytes);
    const tables = boxesOf(bytes).filter(({ type }) => type === 'stco' || type === 'co64');
    for (const { type, data, end } of tables) {
      const width = type === 'stco' ? 4 : 8;
      for (let at = data + 8; at + width <= end; at += width) {
        const low = at + width - 4;
        copy.writeUInt32BE((copy.readUInt32BE(low) + by) >>> 0, low);
      }
    }
    return tables.length === 0 ? undefined : copy;
  };
}

/** At an offset in the samples: in an `mdat`, or in the middle part of another container. */
function inSamples(change: (bytes: Buffer, at: number, random: () => number) => Buffer): Damage {
  return (bytes, random) => {
    const boxes = isMp4(bytes)
      ? boxesOf(bytes).filter(({ type, data, end }) => type === 'mdat' && end - data > 64)
      : [];
    const [low, high] = [0.1, 0.95].map((part) => Math.floor(bytes.length * part)) as [number, number];
    const box = oneOf(boxes, random) ?? { data: low, end: high + 64 };
    return change(bytes, between(box.data, box.end - 64, random), random);
  };
}

const overSamples = (length: number, fill: (length: number, random: () => number) => Buffer): Damage =>
  inSamples((bytes, at, random) => overwritten(bytes, at, fill(Math.min(length, bytes.length - at), random)));

const removeBox = (type: string): Damage => onBox(type, (bytes, { start, end }) => without(bytes, start, end));

const SAMPLE_TABLES = 'stts stsc stsz stco stss ctts';

export const CLIP_DAMAGE: Damages = {
  'samples-200-random-bytes': overSamples(200, randomBytes),
  'samples-bit-flip': inSamples(bitFlipped),
  'samples-all-zeros': onBox('mdat', (bytes, { data, end }) => overwritten(bytes, data, Buffer.alloc(end - data))),
  'stco-plus-1': shiftOffsets(1),
  'codec-unknown': onBox('stsd', (bytes, { data }) => overwritten(bytes, data + 12, Buffer.from('xyz1'))),
  'sample-table-flip': flipIn(SAMPLE_TABLES),
  'fragment-flip': flipIn('tfhd tfdt trun sidx trex'),
  'mdat-removed': removeBox('mdat'),
  'moov-removed': removeBox('moov'),
  'stsz-removed': removeBox('stsz'),
};
