import { type Bytes, concat } from '../../fixtures/bytes.js';

/** Damages a copy of a file. `undefined` if the file has nothing that can be damaged in this way. */
export type Damage = (bytes: Buffer, random: () => number) => Buffer | undefined;

/** Kinds of damage, by name. */
export type Damages = Readonly<Record<string, Damage>>;

/** What file systems, disks and transfers lose at once. */
const PAGE_BYTES = 4096;

export const between = (low: number, high: number, random: () => number): number =>
  low + Math.floor(random() * Math.max(1, high - low));

/** One of these at random. */
export const oneOf = <T>(items: readonly T[], random: () => number): T | undefined =>
  items[between(0, items.length, random)];

export function randomBytes(length: number, random: () => number): Buffer {
  return Buffer.from(Array.from({ length }, () => Math.floor(random() * 256)));
}

/** A copy with `replacement` written over the bytes from `at` on. */
export function overwritten(bytes: Buffer, at: number, replacement: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  replacement.copy(copy, at);
  return copy;
}

/** A copy without some bytes. */
export const without = (bytes: Buffer, from: number, to: number): Buffer =>
  concat(bytes.subarray(0, from), bytes.subarray(to));

const withInserted = (bytes: Buffer, at: number, ...inserted: readonly Bytes[]): Buffer =>
  concat(bytes.subarray(0, at), ...inserted, bytes.subarray(at));

/** A copy with one of the lowest bits of a byte flipped. */
export const bitFlipped = (bytes: Buffer, at: number, random: () => number, bits = 8): Buffer =>
  overwritten(bytes, at, Buffer.of(bytes[at]! ^ (1 << Math.floor(random() * bits))));

const cutTo = (percent: number): Damage => {
  return (bytes) => bytes.subarray(0, Math.floor(bytes.length * (percent / 100)));
};

function flipBits(count: number, region = 1): Damage {
  return (bytes, random) => {
    const copy = Buffer.from(bytes);
    for (let i = 0; i < count; i++) {
      const at = Math.floor(random() * copy.length * region);
      copy[at] = copy[at]! ^ (1 << Math.floor(random() * 8));
    }
    return copy;
  };
}

/** Pages after the first, which holds the header: 4096 bytes each, or less in a small file. */
function pagesOf(bytes: Buffer): { size: number; count: number } {
  const size = bytes.length >= 4 * PAGE_BYTES ? PAGE_BYTES : 2 ** Math.floor(Math.log2(Math.max(16, bytes.length / 8)));
  return { size, count: Math.floor(bytes.length / size) };
}

function onPage(change: (bytes: Buffer, at: number, size: number, random: () => number) => Buffer): Damage {
  return (bytes, random) => {
    const { size, count } = pagesOf(bytes);
    return count < 4 ? undefined : change(bytes, between(1, count, random) * size, size, random);
  };
}

const anywhere = (change: (bytes: Buffer, at: number, random: () => number) => Buffer, from = 0): Damage => {
  return (bytes, random) => change(bytes, between(from, bytes.length, random), random);
};

/** Damage that any file can suffer: on a disk, in a transfer, by a broken program. */
export const BYTE_DAMAGE: Damages = {
  ...Object.fromEntries([10, 25, 50, 75, 90, 95, 99, 99.5, 99.9].map((part) => [`cut-${part}`, cutTo(part)])),
  'cut-last-byte': (bytes) => bytes.subarray(0, -1),
  'flip-bit': flipBits(1),
  'flip-bit-in-header': flipBits(1, 0.02),
  'flip-64-bits': flipBits(64),
  'random-16-bytes': anywhere((bytes, at, random) => overwritten(bytes, at, randomBytes(16, random))),
  'page-zeroed': onPage((bytes, at, size) => overwritten(bytes, at, Buffer.alloc(size))),
  'page-random': onPage((bytes, at, size, random) => overwritten(bytes, at, randomBytes(size, random))),
  'page-removed': onPage((bytes, at, size) => without(bytes, at, at + size)),
  'tail-zeroed': (bytes, random) => {
    const from = Math.floor(bytes.length * (0.4 + 0.55 * random()));
    return overwritten(bytes, from, Buffer.alloc(bytes.length - from));
  },
  'byte-removed': anywhere((bytes, at) => without(bytes, at, at + 1), 1),
  'byte-inserted': anywhere((bytes, at, random) => withInserted(bytes, at, randomBytes(1, random)), 1),
  'line-ends-changed': (bytes) => {
    const text = bytes.toString('latin1');
    return text.includes('\r\n') ? Buffer.from(text.replaceAll('\r\n', '\n'), 'latin1') : undefined;
  },
  'zeros-appended': (bytes) => concat(bytes, Buffer.alloc(4096)),
};
