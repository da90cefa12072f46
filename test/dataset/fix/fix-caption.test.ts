import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fixCaption } from '../../../src/dataset/fix/fix-caption.js';
import { NotFixable } from '../../../src/dataset/fix/not-fixable.js';

/** The bytes 0x80 to 0x9F of Windows-1252; `\0` for the five that it leaves out. */
const HIGH = '€\0‚ƒ„…†‡ˆ‰Š‹Œ\0Ž\0\0‘’“”•–—˜™š›œ\0žŸ';

const windows1252 = (text: string) =>
  Buffer.from(
    [...text].map((character) => {
      const high = HIGH.indexOf(character);
      return high < 0 ? character.charCodeAt(0) : 0x80 + high;
    }),
  );

const utf16be = (text: string) => Buffer.from(text, 'utf16le').swap16();

const textOf = (bytes: Buffer) => fixCaption(bytes).bytes.toString();

describe('a caption in Windows-1252', () => {
  test.each([
    'a wagon’s wheel',
    'the “red” wagon — old, 1920–1930…',
    'people’s ‘quoted’ 6” pipe, dogs’ tails',
    'café, crème brûlée, naïve jalapeño façade, Zoë',
    'smørrebrød på åen, Ærø, 20 °C, 5 €',
    'un café noir, « déjà vu », c’est ça, à la carte',
    'ein Mädchen, große Straße, Öl',
    'el niño, ¿qué es? ¡sí señor!',
    '640×512, ½ size, Brand™',
  ])('is converted: %s', (text) => {
    expect(fixCaption(windows1252(text))).toMatchObject({ change: expect.stringContaining('(assumed)') });
    expect(textOf(windows1252(text))).toBe(text);
  });

  /** Captions in other encodings, as `iconv` writes them. */
  test.each([
    ['Cyrillic, Windows-1251', 'мальчик', 'ece0ebfcf7e8ea'],
    ['a Cyrillic word in English', 'a red wagon in снег', '612072656420776167 6f6e20696e20f1ede5e3'],
    ['Shift-JIS in English', 'a photo of 山', '612070686f746f206f66208e52'],
    ['GBK in English', 'a 红 cat', '6120baec20636174'],
    ['Polish', 'żółty', 'bff3b37479'],
    ['Turkish', 'ışık', 'fdfefd6b'],
    ['Mac Roman apostrophe', 'wagon’s', '7761676f6ed573'],
    ['DOS', 'schön', '73636894 6e'],
    ['an undefined byte', '', '6181'],
    ['a control character', '', '61e91b62'],
    ['UTF-8 and Windows-1252 in one file', 'é ’', '636166c3a920776167 6f6e9273'],
  ])('is not guessed from %s (%s)', (_, __, hex) => {
    const bytes = Buffer.from(hex.replaceAll(' ', ''), 'hex');
    expect(() => fixCaption(bytes)).toThrow(/not certain.* iconv -f ENCODING -t UTF-8/);
  });
});

describe('a caption with a byte order mark', () => {
  test('is converted from UTF-16 of either order, with characters beyond 16 bits', () => {
    const text = 'a wagon 猫 🚂\r\nand a line';
    expect(textOf(Buffer.from(`\ufeff${text}`, 'utf16le'))).toBe(text);
    expect(textOf(utf16be(`\ufeff${text}`))).toBe(text);
    expect(textOf(Buffer.from('\ufeff\ufefftwice', 'utf16le'))).toBe('twice');
  });

  test('in UTF-8 loses it, and nothing else', () => {
    expect(textOf(Buffer.from('\ufeff\ufeff a\ufeffb \r\n'))).toBe(' a\ufeffb \r\n');
    expect(textOf(Buffer.from('\ufeff'))).toBe('');
    // Zero bytes are never removed.
    for (const text of [Buffer.from('cat', 'utf16le'), Buffer.from('\ufeffa\0')])
      expect(() => textOf(text)).toThrow('zero');
  });

  test.each([
    ['half a character', Buffer.from([0xff, 0xfe, 0x61])],
    ['half a surrogate pair', Buffer.from([0xff, 0xfe, 0x3d, 0xd8, 0x61, 0])],
    ['UTF-32', Buffer.from([0xff, 0xfe, 0, 0, 0x61, 0, 0, 0])],
    ['a zero', Buffer.from('\ufeffa\0', 'utf16le')],
    ['a control character', Buffer.from('\ufeffa\u001b', 'utf16le')],
  ])('that is no text is left as it is: %s', (_, bytes) => {
    expect(() => fixCaption(bytes)).toThrow('not valid UTF-16');
  });
});

function fixedOrNot(bytes: Buffer) {
  try {
    return fixCaption(bytes);
  } catch (error) {
    if (!(error instanceof NotFixable)) throw error;
    return undefined;
  }
}

test('random bytes become valid UTF-8 without a byte order mark and without zeros, or stay', () => {
  const part = fc.oneof(fc.constantFrom('a', 'e', ' ', 'T', '.'), fc.constantFrom(...'éèñÑœ’“”–…ß\xa0'));
  const latin = fc.array(part, { maxLength: 30 }).map((parts) => windows1252(parts.join('')));
  const any = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes));
  const marked = any.map((bytes) => Buffer.concat([Buffer.from([0xff, 0xfe]), bytes]));
  let fixedLatin = 0;
  fc.assert(
    fc.property(fc.oneof(latin, any, marked), (bytes) => {
      const before = Buffer.from(bytes);
      const fixed = fixedOrNot(bytes);
      expect(bytes).toEqual(before);
      if (fixed === undefined) return;
      if (fixed.change.includes('1252')) fixedLatin++;
      const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(fixed.bytes);
      expect(text).not.toMatch(/^\ufeff|\0/);
    }),
    { numRuns: 3000 },
  );
  expect(fixedLatin).toBeGreaterThan(50);
});
