import { BitWriter } from './bit-writer.js';
import { u16, u32, u8 } from './hostile-file.js';

/** Pictures of grey macroblocks: H.264 of which each frame after the first takes some ten bytes, and any size to decode. */
export interface GreyVideo {
  readonly sequence: Buffer;
  readonly picture: Buffer;
  readonly key: Buffer;
  /** The frame with this number: it copies the one before. */
  readonly copy: (index: number) => Buffer;
}

/** Inserts the bytes that keep a start code out of the payload (ITU-T H.264, 7.4.1). */
function nalUnit(header: number, payload: Buffer): Buffer {
  const bytes: number[] = [header];
  let zeros = 0;
  for (const byte of payload) {
    if (zeros === 2 && byte <= 3) {
      bytes.push(3);
      zeros = 0;
    }
    bytes.push(byte);
    zeros = byte === 0 ? zeros + 1 : 0;
  }
  return Buffer.from(bytes);
}

const ended = (writer: BitWriter): Buffer => writer.bits(1, 1).end(0);

/** Sides in macroblocks of 16 pixels. */
export function greyVideo({
  across,
  down,
  references = 1,
}: {
  across: number;
  down: number;
  references?: number;
}): GreyVideo {
  const blocks = across * down;
  const sps = new BitWriter().bits(8, 66).bits(8, 0).bits(8, 62);
  // Identifier, frame numbers of 4 bits, output in decoding order.
  sps.golomb(0).golomb(0).golomb(2).golomb(references).bits(1, 0);
  sps
    .golomb(across - 1)
    .golomb(down - 1)
    .bits(1, 1)
    .bits(1, 1)
    .bits(1, 0)
    .bits(1, 0);
  const pps = new BitWriter().golomb(0).golomb(0).bits(2, 0).golomb(0).golomb(0).golomb(0);
  pps.bits(1, 0).bits(2, 0).golomb(0).golomb(0).golomb(0).bits(1, 1).bits(1, 0).bits(1, 0);
  const key = new BitWriter().golomb(0).golomb(7).golomb(0).bits(4, 0).golomb(0).bits(2, 0).golomb(0).golomb(1);
  // Intra 16×16, DC prediction, no residual: eight bits each.
  for (let block = 0; block < blocks; block++) key.bits(8, 0x27);
  const copy = (index: number) => {
    const slice = new BitWriter()
      .golomb(0)
      .golomb(5)
      .golomb(0)
      .bits(4, index & 15);
    slice.bits(1, 0).bits(1, 0).bits(1, 0).golomb(0).golomb(1).golomb(blocks);
    return nalUnit(0x41, ended(slice));
  };
  return {
    sequence: nalUnit(0x67, ended(sps)),
    picture: nalUnit(0x68, ended(pps)),
    key: nalUnit(0x65, ended(key)),
    copy,
  };
}

/** A NAL unit after its length in four bytes, as MP4 and Matroska hold it. */
export const sized = (unit: Buffer): Buffer => Buffer.concat([u32(unit.length), unit]);

/** The payload of `avcC` (ISO/IEC 14496-15, 5.3.3.1). */
export function configuration({ sequence, picture }: GreyVideo): Buffer {
  const profile = sequence.subarray(1, 4);
  return Buffer.concat([
    u8(1),
    profile,
    u8(0xff, 0xe1),
    u16(sequence.length),
    sequence,
    u8(1),
    u16(picture.length),
    picture,
  ]);
}
