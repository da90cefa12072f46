import { expect, test } from 'vitest';
import { digestOf } from '../../src/dataset/digest.js';
import { sha256 } from '../harness/sha256.js';

const fileOf = (filename: string) => ({ filename, group: 'no part of it', upload: { sha256: sha256(filename) } });
const lineOf = (filename: string) => `${sha256(filename)}  ${filename}\n`;

test.each([
  { names: 'ASCII names', inByteOrder: ['B.jpg', 'a 1.jpg', 'a.jpg', 'a.txt'] },
  { names: 'names beyond ASCII', inByteOrder: ['z.jpg', 'é.jpg', '犬.jpg', '\uffee.jpg'] },
  // UTF-16 code units sort in the opposite order.
  { names: 'names beyond the basic multilingual plane', inByteOrder: ['z.jpg', '\uffee.jpg', '😀.jpg', '😀.txt'] },
])('the digest sorts $names by their bytes', ({ inByteOrder }) => {
  const expected = sha256(inByteOrder.map(lineOf).join(''));
  expect(digestOf(inByteOrder.map(fileOf))).toBe(expected);
  expect(digestOf(inByteOrder.map(fileOf).reverse())).toBe(expected);
});
