import { damaged } from '../../inspection-error.js';

export const MAX_CODE_BITS = 16;
const MAX_DC_BITS = 15;
/** Longer codes take a second lookup. */
export const LOOKUP_BITS = 12;
const GROUP_BITS = MAX_CODE_BITS - LOOKUP_BITS;

/** ITU-T T.81, annex C. */
export interface HuffmanTable {
  /** For each length of 1 to 16 bits. */
  readonly counts: Uint8Array;
  readonly symbols: Uint8Array;
}

/** What a walk needs of a code: a number below LINK, or 0 for an invalid symbol. Values themselves are skipped. */
export type EntryOf = (symbol: number, codeBits: number) => number;

/** From here on, entries link the first bits of longer codes to a group by the next bits. */
export const LINK = 0xf000;

/** By the next LOOKUP_BITS bits: the entry of their first code, a link to a group (see `linkedIndex`), or 0 if there is none. */
export function lookupTable({ counts, symbols }: HuffmanTable, entryOf: EntryOf): Uint16Array {
  const longCodes = counts.subarray(LOOKUP_BITS).reduce((sum, count) => sum + count, 0);
  const entries = new Uint16Array((1 << LOOKUP_BITS) + (Math.min(longCodes, 1 << LOOKUP_BITS) << GROUP_BITS));
  let index = 0;
  let bits = 0;
  for (let length = 1; length <= LOOKUP_BITS; length++) {
    const width = 1 << (LOOKUP_BITS - length);
    for (let left = counts[length - 1]!; left > 0; left--, bits += width) {
      entries.fill(entryOf(symbols[index++]!, length), bits, bits + width);
    }
  }
  let group = 1 << (LOOKUP_BITS - GROUP_BITS);
  bits <<= GROUP_BITS;
  for (let length = LOOKUP_BITS + 1; length <= MAX_CODE_BITS; length++) {
    const width = 1 << (MAX_CODE_BITS - length);
    for (let left = counts[length - 1]!; left > 0; left--, bits += width) {
      const first = bits >> GROUP_BITS;
      if (entries[first] === 0) entries[first] = LINK | group++;
      const from = linkedIndex(entries[first]!, bits);
      entries.fill(entryOf(symbols[index++]!, length), from, from + width);
    }
  }
  return entries;
}

export function linkedIndex(link: number, next16: number): number {
  return ((link & ~LINK) << GROUP_BITS) | (next16 & ((1 << GROUP_BITS) - 1));
}

/** The tables in force at a marker. */
export class HuffmanTables {
  private readonly dc: (HuffmanTable | undefined)[] = [];
  private readonly ac: (HuffmanTable | undefined)[] = [];

  /** B.2.4.2. @throws StructureError */
  read(segment: Buffer): void {
    let at = 0;
    while (at < segment.length) {
      const [kind, id] = [(segment[at] ?? 0) >> 4, (segment[at] ?? 0) & 15];
      const counts = Uint8Array.from(segment.subarray(at + 1, at + 17));
      const size = counts.reduce((sum, count) => sum + count, 0);
      const symbols = Uint8Array.from(segment.subarray(at + 17, at + 17 + size));
      const hasInvalidSymbol = kind === 0 && symbols.some((bits) => bits > MAX_DC_BITS);
      if (
        kind > 1 ||
        id > 3 ||
        size > 256 ||
        !isPrefixCode(counts) ||
        symbols.length < size ||
        counts.length < 16 ||
        hasInvalidSymbol
      ) {
        throw damaged('one of its Huffman tables is invalid');
      }
      (kind === 0 ? this.dc : this.ac)[id] = { counts, symbols };
      at += 17 + size;
    }
  }

  /**
   * Sequential images, such as Motion JPEG, may omit the standard tables (T.81, annex K.3; libjpeg-turbo `jdhuff.c`,
   * `std_huff_tables`). @throws StructureError for another missing table
   */
  find(kind: 'dc' | 'ac', id: number, { isProgressive }: { isProgressive: boolean }): HuffmanTable {
    const found = this[kind][id];
    if (found !== undefined) return found;
    if (isProgressive || id > 1) throw damaged('one of its Huffman tables is missing');
    const standard = new HuffmanTables();
    standard.read(Buffer.from(STANDARD_TABLES, 'hex'));
    return standard.find(kind, id, { isProgressive: true });
  }
}

/** No length has more codes than its bits can tell apart. */
function isPrefixCode(counts: Uint8Array): boolean {
  let code = 0;
  return counts.every((count, i) => {
    code = code * 2 + count;
    return code <= 2 << i;
  });
}

/** T.81, annex K.3, as DHT segments. */
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
