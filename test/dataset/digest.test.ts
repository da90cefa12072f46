import { describe, expect, test } from 'vitest';
import { digestOf, digestWithLinks } from '../../src/dataset/digest.js';
import { sha256 } from '../harness/sha256.js';

const fileOf = (filename: string) => ({ filename, group: 'no part of it', upload: { sha256: sha256(filename) } });
const lineOf = (filename: string) => `${sha256(filename)}  ${filename}\n`;

describe('the digest', () => {
  test.each([
    { names: 'ASCII names', inByteOrder: ['B.jpg', 'a 1.jpg', 'a.jpg', 'a.txt'] },
    { names: 'names beyond ASCII', inByteOrder: ['z.jpg', 'é.jpg', '犬.jpg', '\uffee.jpg'] },
    // UTF-16 code units sort in the opposite order.
    { names: 'names beyond the basic multilingual plane', inByteOrder: ['z.jpg', '\uffee.jpg', '😀.jpg', '😀.txt'] },
  ])('sorts $names by their bytes', ({ inByteOrder }) => {
    const expected = sha256(inByteOrder.map(lineOf).join(''));
    expect(digestOf(inByteOrder.map(fileOf))).toBe(expected);
    expect(digestOf(inByteOrder.map(fileOf).reverse())).toBe(expected);
  });

  test('of no files is the SHA-256 of no bytes', () => {
    expect(digestOf([])).toBe(sha256(''));
  });

  test('of a dataset with links covers its files and each linked dataset, in the order of the slots', () => {
    const [files, depth, mask] = [sha256('files'), sha256('depth'), sha256('mask')];
    const links = [
      { slot: 'mask', digest: mask },
      { slot: 'control_1', digest: depth },
    ] as const;
    const expected = sha256(`${files}  files\n${depth}  control_1\n${mask}  mask\n`);
    expect(digestWithLinks(files, links)).toBe(expected);
    expect(digestWithLinks(files, [...links].reverse())).toBe(expected);
    expect(digestWithLinks(files, [])).toBe(files);
  });
});
