import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ServiceError } from '../../src/dataset/errors.js';
import { mediaTypeOf } from '../../src/dataset/media.js';
import { normalizedFilename, parseDatasetName, parseFilename, parseGroupName } from '../../src/dataset/names.js';

const isNameError = (error: unknown): error is ServiceError =>
  error instanceof ServiceError && ['invalid_name', 'unsupported_type'].includes(error.code);

/** Any text, with the characters that the rules are about made likely. */
const anyName = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({
    unit: fc.constantFrom('a', 'B', '.', '/', '\\', '\0', ' ', 'e\u0301', '\ud800', '\ufffd', '"', '.txt', '.JPG'),
  }),
);

test('any filename is rejected with a reason, or becomes one safe path component', () => {
  fc.assert(
    fc.property(fc.tuple(anyName, fc.constantFrom('', '.jpg', '.txt', '.MP4')), ([name, extension]) => {
      try {
        const filename = parseFilename(name + extension);
        expect(filename).toBe(filename.normalize('NFC'));
        expect(filename).toMatch(/^[^./\\\p{Cc}][^/\\\p{Cc}]*$/u);
        expect(Buffer.byteLength(filename)).toBeLessThanOrEqual(255);
        expect(Buffer.from(filename).toString()).toBe(filename);
        expect(mediaTypeOf(filename)).toBeDefined();
        expect(parseFilename(filename)).toBe(filename);
      } catch (error) {
        if (!isNameError(error)) throw error;
        expect(error.message.length).toBeLessThan(400);
      }
    }),
    { numRuns: 3000 },
  );
});

test('the longest form of a filename is accepted, and a longer one is rejected without normalizing it', () => {
  const longest = `${'\u0390'.repeat(125)}.txt`;
  expect(parseFilename(longest.normalize('NFD'))).toBe(longest);
  // The time that normalizing takes grows with the square of the marks.
  const marks = `a${'\u0301'.repeat(500)}${'\u0323'.repeat(500)}.txt`;
  expect(() => parseFilename(marks)).toThrow('is too long');
  expect(normalizedFilename(marks)).toBe(marks);
  expect(normalizedFilename('e\u0301.txt')).toBe('\u00e9.txt');
});

test.each([
  ['photo\u202egpj.exe.jpg', /contains U\+202E/],
  ['a\u2066b.txt', /contains U\+2066/],
  ['a\u2028b.txt', /contains U\+2028/],
  ['caf\ufffd.txt', /not UTF-8/],
  ['CON.txt', /device on Windows/],
  ['lpt².webp', /device on Windows/],
])('the filename %j is rejected with the reason', (filename, reason) => {
  expect(() => parseFilename(filename)).toThrow(reason);
  expect(() => parseFilename(filename)).not.toThrow(/[\u2000-\u206f]/);
});

test.each([
  'a "quoted" name.jpg',
  'icon.jpg',
  'COM10.png',
  '👩\u200d🚀.jpg',
  'می\u200cخواهم.txt',
  'שלום\u200f.txt',
  'Screenshot 2024-01-01 at 10.00.00\u202fAM.png',
])('the filename %j of honest clients is accepted', (filename) => {
  expect(parseFilename(filename)).toBe(filename);
});

test('the name of a group has up to 128 bytes, and is that of a folder on Windows too', () => {
  expect(parseGroupName('c'.repeat(128))).toHaveLength(128);
  expect(() => parseGroupName('c'.repeat(129))).toThrow('129 bytes long');
  expect(() => parseGroupName('cats.')).toThrow('ends with a dot');
});

test('any dataset name is rejected with a reason, or becomes a safe folder name', () => {
  fc.assert(
    fc.property(anyName, (name) => {
      try {
        const parsed = parseDatasetName(name);
        expect(parsed).toMatch(/^[\p{L}\p{M}\p{Nd}_-][\p{L}\p{M}\p{Nd} ._-]*$/u);
        expect(parsed).toBe(parsed.trim());
        expect(parseDatasetName(parsed)).toBe(parsed);
      } catch (error) {
        if (!isNameError(error)) throw error;
      }
    }),
    { numRuns: 3000 },
  );
});
