import { concat, u16 } from '../../fixtures/bytes.js';
import { between, bitFlipped, type Damage, type Damages, oneOf, overwritten } from './bytes.js';
import { without } from './bytes.js';

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
    if (isScan({ marker })) {
      while (end + 1 < bytes.length && !(bytes[end] === 0xff && !isInScan(bytes[end + 1]!))) end++;
    }
    segments.push({ marker, start: at, end, dataStart });
    at = end;
  }
  return segments;
}

/** Stuffed zero bytes, fill bytes and restart markers. */
const isInScan = (second: number): boolean => second === 0 || second === 0xff || (second >= 0xd0 && second <= 0xd7);

const isScan = ({ marker }: Pick<Segment, 'marker'>): boolean => marker === 0xda;
const isFrame = (marker: number): boolean =>
  marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc;

const EOI = '\xff\xd9';

type Change<T> = (bytes: Buffer, at: T, random: () => number) => Buffer | undefined;

/** In the entropy-coded data of one scan, between two bytes that belong to no marker. */
function inScan(change: Change<number>): Damage {
  return (bytes, random) => {
    const scans = segmentsOf(bytes).filter((segment) => isScan(segment) && segment.end - segment.dataStart > 8);
    const scan = oneOf(scans, random);
    if (scan === undefined) return undefined;
    let at = between(scan.dataStart + 1, scan.end - 2, random);
    while (at < scan.end && (bytes[at] === 0xff || bytes[at - 1] === 0xff)) at++;
    return change(bytes, at, random);
  };
}

/** A segment with one of these markers. */
function onSegment(isWanted: (marker: number) => boolean, change: Change<Segment>): Damage {
  return (bytes, random) => {
    const segment = oneOf(
      segmentsOf(bytes).filter(({ marker }) => isWanted(marker)),
      random,
    );
    return segment && change(bytes, segment, random);
  };
}

/** Flips a bit of the content of a segment with one of these markers. */
const flipIn = (isWanted: (marker: number) => boolean): Damage =>
  onSegment(isWanted, (bytes, { start, dataStart }, random) =>
    bitFlipped(bytes, between(start + 4, dataStart, random), random),
  );

const changeHeight = (factor: number): Damage =>
  onSegment(isFrame, (bytes, { start }) => {
    const height = Math.max(1, Math.floor(bytes.readUInt16BE(start + 5) * factor));
    return overwritten(bytes, start + 5, u16(height & 0xffff));
  });

export const JPEG_DAMAGE: Damages = {
  'cut-closed-in-scan': inScan((bytes, at) => concat(bytes.subarray(0, at), EOI)),
  'cut-then-whole': inScan((bytes, at) => concat(bytes.subarray(0, at), bytes)),
  'eoi-missing': (bytes) => bytes.subarray(0, bytes.lastIndexOf(EOI, undefined, 'latin1')),
  'scan-byte-removed': inScan((bytes, at) => without(bytes, at, at + 1)),
  'scan-removed': onSegment(
    (marker) => marker === 0xda,
    (bytes, { start, end }) => without(bytes, start, end),
  ),
  'header-flip': flipIn((marker) => marker < 0xe0),
  'tables-removed': onSegment(
    (marker) => marker === 0xc4 || marker === 0xdb,
    (bytes, { start, end }) => without(bytes, start, end),
  ),
  'height-doubled': changeHeight(2),
  'height-halved': changeHeight(0.5),
};
