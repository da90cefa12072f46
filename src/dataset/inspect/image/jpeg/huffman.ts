import { StructureError } from '../../inspection-error.js';

export const MAX_CODE_BITS = 16;
const MAX_DC_BITS = 15;
/** One lookup finds codes of up to this many bits. */
export const LOOKUP_BITS = 12;

/** How far an end of block advances the index: beyond any run, so an index past 63 shows whether a run was too long. */
export const END_OF_BLOCK = 128;

/** The codes of ITU-T T.81, annex C, as lookup tables. Walking a scan needs only lengths: values are skipped. */
export interface HuffmanTable {
  /** By the next LOOKUP_BITS bits: the code's length (5 bits) and symbol (8 bits); 0 for longer codes and for none. */
  readonly codes: Uint16Array;
  /** By the same bits: code and extra bits together (6 bits), and coefficients to advance; 0 as in `codes`. */
  readonly steps: Uint16Array;
  /** By length: the first code, left-aligned to 16 bits, after those of this length. */
  readonly ends: Int32Array;
  /** By length: the difference between the index of a symbol and its code. */
  readonly offsets: Int32Array;
  readonly symbols: Uint8Array;
}

/**
 * Builds a table of a DHT segment.
 *
 * @param counts the number of codes of each length, 1 to 16 bits
 * @throws StructureError where a length has more codes than its bits can tell apart
 */
function huffmanTable(counts: Uint8Array, symbols: Uint8Array): HuffmanTable {
  const codes = new Uint16Array(1 << LOOKUP_BITS);
  const steps = new Uint16Array(1 << LOOKUP_BITS);
  const ends = new Int32Array(MAX_CODE_BITS + 1);
  const offsets = new Int32Array(MAX_CODE_BITS + 1);
  let code = 0;
  let index = 0;
  for (let length = 1; length <= MAX_CODE_BITS; length++) {
    offsets[length] = index - code;
    for (let left = counts[length - 1] ?? 0; left > 0; left--, code++, index++) {
      if (code >= 1 << length) throw invalidTable();
      if (length > LOOKUP_BITS) continue;
      const symbol = symbols[index] ?? 0;
      const from = code << (LOOKUP_BITS - length);
      const to = from + (1 << (LOOKUP_BITS - length));
      codes.fill(length | (symbol << 5), from, to);
      steps.fill(stepOf(symbol, length), from, to);
    }
    ends[length] = code << (MAX_CODE_BITS - length);
    code <<= 1;
  }
  return { codes, steps, ends, offsets, symbols };
}

/** `RRRRSSSS`: a run of zeros and the number of extra bits of the coefficient after it (F.1.2.2.1). */
export function stepOf(symbol: number, codeBits: number): number {
  const [run, extraBits] = [symbol >> 4, symbol & 15];
  const advance = extraBits > 0 ? run + 1 : run === 15 ? 16 : END_OF_BLOCK;
  return (codeBits + extraBits) | (advance << 6);
}

/** The tables in force while the markers of an image are read. */
export class HuffmanTables {
  private readonly dc: (HuffmanTable | undefined)[] = [];
  private readonly ac: (HuffmanTable | undefined)[] = [];

  /** Adds the tables of a DHT segment (B.2.4.2). @throws StructureError */
  read(segment: Buffer): void {
    let at = 0;
    while (at < segment.length) {
      const [kind, id] = [(segment[at] ?? 0) >> 4, (segment[at] ?? 0) & 15];
      const counts = segment.subarray(at + 1, at + 17);
      const size = counts.reduce((sum, count) => sum + count, 0);
      const symbols = Uint8Array.from(segment.subarray(at + 17, at + 17 + size));
      const hasInvalidSymbol = kind === 0 && symbols.some((bits) => bits > MAX_DC_BITS);
      if (kind > 1 || id > 3 || size > 256 || symbols.length < size || counts.length < 16 || hasInvalidSymbol) {
        throw invalidTable();
      }
      (kind === 0 ? this.dc : this.ac)[id] = huffmanTable(counts, symbols);
      at += 17 + size;
    }
  }

  /**
   * Finds a table. A sequential image may leave out the standard ones, as frames of Motion JPEG do: libjpeg-turbo then uses
   * those of T.81, annex K.3 (`jdhuff.c`, `std_huff_tables`).
   *
   * @throws StructureError where it is missing
   */
  find(kind: 'dc' | 'ac', id: number, { isProgressive }: { isProgressive: boolean }): HuffmanTable {
    const found = this[kind][id];
    if (found !== undefined) return found;
    if (isProgressive || id > 1) throw new StructureError('is damaged: one of its Huffman tables is missing');
    const standard = new HuffmanTables();
    standard.read(Buffer.from(STANDARD_TABLES, 'hex'));
    return standard.find(kind, id, { isProgressive: true });
  }
}

function invalidTable(): StructureError {
  return new StructureError('is damaged: one of its Huffman tables is invalid');
}

/** T.81, annex K.3, in the form of DHT segments. */
const STANDARD_TABLES = [
  // DC of luminance
  '0000010501010101010100000000000000000102030405060708090a0b',
  // AC of luminance
  '100002010303020403050504040000017d01020300041105122131410613516107227114328191a1082342b1c11552d1f02433627282090a' +
    '161718191a25262728292a3435363738393a434445464748494a535455565758595a636465666768696a737475767778797a838485868788' +
    '898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9' +
    'eaf1f2f3f4f5f6f7f8f9fa',
  // DC of chrominance
  '0100030101010101010101010000000000000102030405060708090a0b',
  // AC of chrominance
  '1100020102040403040705040400010277000102031104052131061241510761711322328108144291a1b1c109233352f0156272d10a1624' +
    '34e125f11718191a262728292a35363738393a434445464748494a535455565758595a636465666768696a737475767778797a8283848586' +
    '8788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2e3e4e5e6e7e8' +
    'e9eaf2f3f4f5f6f7f8f9fa',
].join('');
