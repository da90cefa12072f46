/** Writes bits, the most significant first, as JPEG and H.264 have them. */
export class BitWriter {
  readonly #bytes: number[] = [];
  #byte = 0;
  #used = 0;

  bits(count: number, value: number): this {
    for (let bit = count - 1; bit >= 0; bit--) {
      this.#byte = (this.#byte << 1) | (Math.floor(value / 2 ** bit) & 1);
      if (++this.#used < 8) continue;
      this.#bytes.push(this.#byte);
      this.#byte = 0;
      this.#used = 0;
    }
    return this;
  }

  /** An Exp-Golomb code (ITU-T H.264, 9.1). */
  golomb(value: number): this {
    const length = 32 - Math.clz32(value + 1);
    return this.bits(length - 1, 0).bits(length, value + 1);
  }

  /** The bytes, the last one filled with `fill`. */
  end(fill: 0 | 1): Buffer {
    while (this.#used > 0) this.bits(1, fill);
    return Buffer.from(this.#bytes);
  }
}
