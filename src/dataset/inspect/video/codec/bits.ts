/** Reads numbers of any length from the first bytes of a frame. All methods return NaN once the bytes are at an end. */
export class Bits {
  private readonly bytes: Buffer;
  private at = 0;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  /** The bits of a NAL unit, without the bytes that prevent start codes (ITU-T H.264, section 7.4.1). */
  static ofNalUnit(bytes: Buffer): Bits {
    const kept: number[] = [];
    let zeros = 0;
    for (const byte of bytes) {
      if (zeros >= 2 && byte === 3) {
        zeros = 0;
        continue;
      }
      zeros = byte === 0 ? zeros + 1 : 0;
      kept.push(byte);
    }
    return new Bits(Buffer.from(kept));
  }

  /** The next `count` bits, at most 32. */
  take(count: number): number {
    let value = 0;
    for (let bit = 0; bit < count; bit++, this.at++) {
      const byte = this.bytes[this.at >> 3];
      if (byte === undefined) return Number.NaN;
      value = value * 2 + ((byte >> (7 - (this.at & 7))) & 1);
    }
    return value;
  }

  /** The next Exp-Golomb code, `ue(v)` in H.264 and HEVC. NaN for one of more than 32 leading zeros, which is invalid. */
  takeGolomb(): number {
    let zeros = 0;
    for (let bit = this.take(1); bit !== 1; bit = this.take(1)) {
      if (Number.isNaN(bit) || ++zeros > 32) return Number.NaN;
    }
    return 2 ** zeros - 1 + this.take(zeros);
  }
}
