import { between, concat, type Damage, overwritten, randomBytes } from './bytes.js';

interface Segment {
  readonly marker: number;
  readonly start: number;
  /** The offset after the segment; for SOS, after the entropy-coded data. */
  readonly end: number;
  /** Of the entropy-coded data, for SOS alone. */
  readonly dataStart: number;
}

/** The segments up to the EOI. */
function segmentsOf(bytes: Buffer): Segment[] {
  const segments: Segment[] = [];
  for (let at = 2; at + 4 <= bytes.length && bytes[at] === 0xff; ) {
    const marker = bytes[at + 1]!;
    if (marker === 0xd9) break;
    const dataStart = at + 2 + bytes.readUInt16BE(at + 2);
    let end = dataStart;
    if (marker === 0xda) {
      while (end + 1 < bytes.length && !(bytes[end] === 0xff && !isInScan(bytes[end + 1]!))) end++;
    }
    segments.push({ marker, start: at, end, dataStart });
    at = end;
  }
  return segments;
}

/** Stuffed zero bytes, fill bytes and restart markers. */
const isInScan = (second: number): boolean => second === 0 || second === 0xff || (second >= 0xd0 && second <= 0xd7);

const isFrame = (marker: number): boolean =>
  marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;

const EOI = '\xff\xd9';

/** Offsets of the restart markers of all scans. */
function restartsOf(bytes: Buffer): number[] {
  const found: number[] = [];
  for (const { marker, dataStart, end } of segmentsOf(bytes)) {
    if (marker !== 0xda) continue;
    for (let at = dataStart; at < end; at++) if (bytes[at] === 0xff && (bytes[at + 1]! & 0xf8) === 0xd0) found.push(at);
  }
  return found;
}

function onRestart(change: (bytes: Buffer, at: number, random: () => number) => Buffer): Damage {
  return (bytes, random) => {
    const restarts = restartsOf(bytes);
    return restarts.length === 0 ? undefined : change(bytes, restarts[between(0, restarts.length, random)]!, random);
  };
}

/** An offset in the entropy-coded data of one scan, between two bytes that belong to no marker. */
function placeInScan(bytes: Buffer, random: () => number): number | undefined {
  const scans = segmentsOf(bytes).filter(({ marker, dataStart, end }) => marker === 0xda && end - dataStart > 8);
  const scan = scans[between(0, scans.length, random)];
  if (scan === undefined) return undefined;
  let at = between(scan.dataStart + 1, scan.end - 2, random);
  while (at < scan.end && (bytes[at] === 0xff || bytes[at - 1] === 0xff)) at++;
  return at;
}

function inScan(change: (bytes: Buffer, at: number, random: () => number) => Buffer | undefined): Damage {
  return (bytes, random) => {
    const at = placeInScan(bytes, random);
    return at === undefined ? undefined : change(bytes, at, random);
  };
}

/** Flips a bit of the content of a segment with one of these markers. */
function flipIn(isWanted: (marker: number) => boolean): Damage {
  return (bytes, random) => {
    const segments = segmentsOf(bytes).filter(({ marker }) => isWanted(marker));
    const segment = segments[between(0, segments.length, random)];
    if (segment === undefined) return undefined;
    const at = between(segment.start + 4, segment.dataStart, random);
    return overwritten(bytes, at, Buffer.of(bytes[at]! ^ (1 << Math.floor(random() * 8))));
  };
}

function changeHeight(factor: number): Damage {
  return (bytes) => {
    const frame = segmentsOf(bytes).find(({ marker }) => isFrame(marker));
    if (frame === undefined) return undefined;
    const height = Math.max(1, Math.floor(bytes.readUInt16BE(frame.start + 5) * factor));
    return overwritten(bytes, frame.start + 5, Buffer.of(height >> 8, height & 0xff));
  };
}

/** Removes, or repeats, a whole scan. */
function changeScan(change: (before: Buffer, scan: Buffer, after: Buffer) => Buffer): Damage {
  return (bytes, random) => {
    const scans = segmentsOf(bytes).filter(({ marker }) => marker === 0xda);
    const scan = scans[between(0, scans.length, random)];
    if (scan === undefined || scans.length < 2) return undefined;
    const { start, end } = scan;
    return change(bytes.subarray(0, start), bytes.subarray(start, end), bytes.subarray(end));
  };
}

/** Inserts bytes after the SOI or in front of a later segment. */
function betweenSegments(inserted: (random: () => number) => Buffer | string): Damage {
  return (bytes, random) => {
    const segments = segmentsOf(bytes);
    const at = segments[between(0, segments.length, random)]?.start;
    return at === undefined ? undefined : concat(bytes.subarray(0, at), inserted(random), bytes.subarray(at));
  };
}

export const JPEG_DAMAGE: Readonly<Record<string, Damage>> = {
  'cut-closed-25': (bytes) => concat(bytes.subarray(0, Math.floor(bytes.length * 0.25)), EOI),
  'cut-closed-60': (bytes) => concat(bytes.subarray(0, Math.floor(bytes.length * 0.6)), EOI),
  'cut-closed-90': (bytes) => concat(bytes.subarray(0, Math.floor(bytes.length * 0.9)), EOI),
  'cut-closed-99': (bytes) => concat(bytes.subarray(0, Math.floor(bytes.length * 0.99)), EOI),
  'cut-closed-in-scan': inScan((bytes, at) => concat(bytes.subarray(0, at), EOI)),
  'cut-then-whole': inScan((bytes, at) => concat(bytes.subarray(0, at), bytes)),
  'eoi-missing': (bytes) => bytes.subarray(0, bytes.lastIndexOf(EOI, undefined, 'latin1')),
  'eoi-in-scan': inScan((bytes, at) => concat(bytes.subarray(0, at), EOI, bytes.subarray(at))),
  'second-soi-in-scan': inScan((bytes, at) => concat(bytes.subarray(0, at), '\xff\xd8', bytes.subarray(at))),
  'second-soi-between-segments': betweenSegments(() => '\xff\xd8'),
  'restart-removed': onRestart((bytes, at) => concat(bytes.subarray(0, at), bytes.subarray(at + 2))),
  'restart-renumbered': onRestart((bytes, at) =>
    overwritten(bytes, at + 1, Buffer.of(0xd0 | ((bytes[at + 1]! + 3) & 7))),
  ),
  'restart-doubled': onRestart((bytes, at) => concat(bytes.subarray(0, at + 2), bytes.subarray(at))),
  'restart-zeroed': onRestart((bytes, at) => overwritten(bytes, at, Buffer.of(0, 0))),
  'restart-inserted': inScan((bytes, at, random) =>
    concat(bytes.subarray(0, at), Buffer.of(0xff, 0xd0 | Math.floor(random() * 8)), bytes.subarray(at)),
  ),
  'scan-byte-removed': inScan((bytes, at) => concat(bytes.subarray(0, at), bytes.subarray(at + 1))),
  'scan-bytes-random': inScan((bytes, at, random) => overwritten(bytes, at, randomBytes(4, random))),
  'scan-ones': inScan((bytes, at) => overwritten(bytes, at, Buffer.from('\xff\0\xff\0\xff\0\xff\0', 'latin1'))),
  'scan-part-removed': inScan((bytes, at) => concat(bytes.subarray(0, at), bytes.subarray(at + 200))),
  'scan-removed': changeScan((before, _, after) => concat(before, after)),
  'scan-doubled': changeScan((before, scan, after) => concat(before, scan, scan, after)),
  'stray-bytes-between-segments': betweenSegments((random) =>
    Buffer.from(randomBytes(3, random).map((byte) => byte & 0x7f)),
  ),
  'fill-bytes-between-segments': betweenSegments(() => '\xff\xff\xff'),
  'huffman-table-flip': flipIn((marker) => marker === 0xc4),
  'quantization-table-flip': flipIn((marker) => marker === 0xdb),
  'frame-header-flip': flipIn(isFrame),
  'scan-header-flip': flipIn((marker) => marker === 0xda),
  'app-segment-flip': flipIn((marker) => marker >= 0xe0 && marker <= 0xef),
  'tables-removed': (bytes, random) => {
    const tables = segmentsOf(bytes).filter(({ marker }) => marker === 0xc4 || marker === 0xdb);
    const table = tables[between(0, tables.length, random)];
    return table && concat(bytes.subarray(0, table.start), bytes.subarray(table.end));
  },
  'height-doubled': changeHeight(2),
  'height-one-block-more': (bytes, random) => changeHeight(1.1)(bytes, random),
  'height-halved': changeHeight(0.5),
};
