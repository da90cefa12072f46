import { checkDimensions, damaged, InspectionError, type StructureError } from '../../inspection-error.js';
import type { HuffmanTable, HuffmanTables } from './huffman.js';

const PROGRESSIVE = 0xc2;

export interface JpegComponent {
  readonly id: number;
  /** 1 to 4. */
  readonly across: number;
  readonly down: number;
  readonly quantization: number;
}

export interface JpegFrame {
  readonly width: number;
  readonly height: number;
  readonly isProgressive: boolean;
  readonly components: readonly JpegComponent[];
}

/** With the tables and the restart interval at its header. */
export interface JpegScan {
  /** Its first entropy-coded byte in the file. */
  readonly offset: number;
  readonly components: readonly {
    readonly component: JpegComponent;
    readonly dc: HuffmanTable | undefined;
    readonly ac: HuffmanTable | undefined;
  }[];
  /** Coefficients, 0 to 63. */
  readonly first: number;
  readonly last: number;
  /** Successive approximation (Ah, Al): the lowest bits of earlier scans, 0 for none, and of this one. */
  readonly high: number;
  readonly low: number;
  /** In MCUs; 0 for none. */
  readonly restartInterval: number;
}

/** A.2 */
export function layoutOf(
  { width, height, components: all }: JpegFrame,
  scan: JpegScan,
): { mcus: number; blocks: JpegScan['components'] } {
  const across = Math.max(...all.map((component) => component.across));
  const down = Math.max(...all.map((component) => component.down));
  const [only, ...others] = scan.components;
  if (only !== undefined && others.length === 0) {
    const columns = Math.ceil(Math.ceil((width * only.component.across) / across) / 8);
    const rows = Math.ceil(Math.ceil((height * only.component.down) / down) / 8);
    return { mcus: columns * rows, blocks: [only] };
  }
  const mcus = Math.ceil(width / (8 * across)) * Math.ceil(height / (8 * down));
  const blocks = scan.components.flatMap((each) =>
    Array.from({ length: each.component.across * each.component.down }, () => each),
  );
  return { mcus, blocks };
}

/** B.2.2 */
export function readFrame(segment: Buffer, code: number): JpegFrame {
  const count = segment[5] ?? 0;
  if (count < 1 || segment.length !== 6 + count * 3) throw invalidLength();
  if (count === 2 || count > 4) throw undecodable(`has ${count} colour channels`);
  checkDecodable(code, segment[0] ?? 0);
  const height = segment.readUInt16BE(1);
  const width = segment.readUInt16BE(3);
  checkDimensions(width, height);
  const components = Array.from({ length: count }, (_, i): JpegComponent => {
    const factors = segment[7 + i * 3] ?? 0;
    const [id, quantization] = [segment[6 + i * 3] ?? 0, segment[8 + i * 3] ?? 0];
    return { id, across: factors >> 4, down: factors & 15, quantization };
  });
  if (components.some(({ across, down }) => across < 1 || across > 4 || down < 1 || down > 4)) {
    throw damaged('its JPEG frame header has invalid sampling factors');
  }
  return { width, height, isProgressive: code === PROGRESSIVE, components };
}

/** Every sequential scan has all coefficients and bits. */
const SEQUENTIAL = { first: 0, last: 63, high: 0, low: 0 };

/** More is rejected by libjpeg-turbo (`jdphuff.c`, `start_pass_phuff_decoder`). */
const MAX_LOW_BIT = 13;

/** For several components (B.2.3); libjpeg-turbo rejects more. */
const MAX_MCU_BLOCKS = 10;

/** B.2.3 */
export function readScan(
  segment: Buffer,
  frame: JpegFrame,
  tables: HuffmanTables,
): Omit<JpegScan, 'offset' | 'restartInterval'> {
  const count = segment[0] ?? 0;
  if (count < 1 || count > 4 || segment.length !== 4 + count * 2) throw invalidLength();
  const [first, last, bits] = [segment[1 + count * 2] ?? 0, segment[2 + count * 2] ?? 0, segment[3 + count * 2] ?? 0];
  const band = frame.isProgressive ? { first, last, high: bits >> 4, low: bits & 15 } : SEQUENTIAL;
  const { high, low } = band;
  const isBand = first === 0 ? last === 0 : count === 1 && first <= last && last <= 63;
  if (frame.isProgressive && !(isBand && low <= MAX_LOW_BIT && (high === 0 || low === high - 1))) {
    throw damaged('a JPEG scan header names invalid coefficients');
  }
  const components = Array.from({ length: count }, (_, i) => {
    const component = frame.components.find(({ id }) => id === segment[1 + i * 2]);
    if (component === undefined) throw damaged('a JPEG scan header names an unknown component');
    const table = segment[2 + i * 2] ?? 0;
    const needsDc = band.first === 0 && high === 0;
    const needsAc = band.last > 0;
    return {
      component,
      dc: needsDc ? tables.find('dc', table >> 4, frame) : undefined,
      ac: needsAc ? tables.find('ac', table & 15, frame) : undefined,
    };
  });
  const blocks = components.reduce((sum, { component }) => sum + component.across * component.down, 0);
  if (new Set(components.map(({ component }) => component)).size < count || (count > 1 && blocks > MAX_MCU_BLOCKS)) {
    throw damaged('a JPEG scan header names too many components');
  }
  return { components, ...band };
}

/**
 * Pillow opens only 8 bits per sample, and libjpeg-turbo before version 3 no lossless JPEG. Its arithmetic decoder can't wait for
 * more than Pillow's first 64 KiB (`jdarith.c`, `JERR_CANT_SUSPEND`).
 */
function checkDecodable(code: number, bitsPerSample: number): void {
  if (code >= 0xc9) throw undecodable(ARITHMETIC);
  if (code > PROGRESSIVE)
    throw undecodable('is a lossless or hierarchical JPEG, which the trainer may not be able to read');
  if (bitsPerSample !== 8) throw undecodable(`has ${bitsPerSample} bits per sample, which the trainer can't read`);
}

export const ARITHMETIC = 'uses arithmetic coding, of which the trainer reads small files at most';

/** @param reason the rest of a sentence */
export function undecodable(reason: string): InspectionError {
  return new InspectionError('IMAGE_CORRUPT', `${reason}. Save it as an ordinary JPEG and upload it again.`);
}

/** libjpeg-turbo ends at such headers (`jdmarker.c`, `JERR_BAD_LENGTH`). */
export function invalidLength(): StructureError {
  return damaged('one of its JPEG segments has an invalid length');
}
