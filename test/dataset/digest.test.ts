import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { digestOf } from '../../src/dataset/digest.js';

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const fileOf = (filename: string) => ({ filename, upload: { sha256: sha256(filename) } });
const lineOf = (filename: string) => `${sha256(filename)}  ${filename}\n`;

describe('the digest', () => {
  test.each([
    { what: 'plain names', inByteOrder: ['B.jpg', 'a 1.jpg', 'a.jpg', 'a.txt'] },
    { what: 'names beyond ASCII', inByteOrder: ['z.jpg', 'é.jpg', '犬.jpg', '\uffee.jpg'] },
    // UTF-16 has them the other way round.
    { what: 'names beyond sixteen bits', inByteOrder: ['z.jpg', '\uffee.jpg', '😀.jpg', '😀.txt'] },
  ])('is over $what in the order of their bytes', ({ inByteOrder }) => {
    const expected = sha256(inByteOrder.map(lineOf).join(''));
    expect(digestOf(inByteOrder.map(fileOf))).toBe(expected);
    expect(digestOf(inByteOrder.map(fileOf).reverse())).toBe(expected);
  });

  test('of no file is that of no bytes', () => {
    expect(digestOf([])).toBe(sha256(''));
  });
});
