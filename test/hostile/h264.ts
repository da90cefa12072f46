import { big, concat, u16 } from '../fixtures/bytes.js';
import { BitWriter } from './hostile-file.js';

/** Sides in macroblocks of 16 pixels. */
export interface Size {
  readonly across: number;
  readonly down: number;
  readonly references?: number;
}

/** Pictures of grey macroblocks: H.264 of which each frame after the first takes some ten bytes, and any size to decode. */
export interface GreyVideo {
  readonly sequence: Buffer;
  readonly picture: Buffer;
  readonly key: Buffer;
  /** The frame with this number: it copies the one before. */
  readonly copy: (index: number) => Buffer;
}

/** Ends the payload, and inserts the bytes that keep a start code out of it (ITU-T H.264, 7.4.1). */
function nalUnit(header: number, payload: BitWriter): Buffer {
  const bytes: number[] = [header];
  let zeros = 0;
  for (const byte of payload.bits(1, 1).end(0)) {
    if (zeros === 2 && byte <= 3) {
      bytes.push(3);
      zeros = 0;
    }
    bytes.push(byte);
    zeros = byte === 0 ? zeros + 1 : 0;
  }
  return Buffer.from(bytes);
}

export function greyVideo({ across, down, references = 1 }: Size): GreyVideo {
  const blocks = across * down;
  // Profile and level; identifier, frame numbers of 4 bits, output in decoding order.
  const sps = new BitWriter().bits(8, 66).bits(8, 0).bits(8, 62).golomb(0, 0, 2, references).bits(1, 0);
  sps.golomb(across - 1, down - 1).bits(4, 0b1100);
  const pps = new BitWriter().golomb(0, 0).bits(2, 0).golomb(0, 0, 0).bits(3, 0).golomb(0, 0, 0).bits(3, 0b100);
  const key = new BitWriter().golomb(0, 7, 0).bits(4, 0).golomb(0).bits(2, 0).golomb(0, 1);
  // Intra 16×16, DC prediction, no residual: eight bits each.
  for (let block = 0; block < blocks; block++) key.bits(8, 0x27);
  const slice = (index: number) => new BitWriter().golomb(0, 5, 0).bits(4, index & 15);
  return {
    sequence: nalUnit(0x67, sps),
    picture: nalUnit(0x68, pps),
    key: nalUnit(0x65, key),
    copy: (index) => nalUnit(0x41, slice(index).bits(3, 0).golomb(0, 1, blocks)),
  };
}

/** A NAL unit after its length in four bytes, as MP4 and Matroska hold it. */
export const sized = (unit: Buffer): Buffer => concat(big(4, unit.length), unit);

/** The payload of `avcC` (ISO/IEC 14496-15, 5.3.3.1). */
export function configuration({ sequence, picture }: GreyVideo): Buffer {
  const units = [u16(sequence.length), sequence, [1], u16(picture.length), picture];
  return concat([1], sequence.subarray(1, 4), [0xff, 0xe1], ...units);
}
