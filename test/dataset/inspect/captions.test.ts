import { describe, expect, test } from 'vitest';
import { inspect } from '../../../src/dataset/inspect/inspect.js';
import { writeUpload } from '../../harness/inspecting.js';

/** The warnings about a caption, or its error, each as `CODE: message`. */
async function judgement(content: string | Buffer, filename = 'a.txt'): Promise<string[]> {
  const path = writeUpload(Buffer.from(content));
  const found = await inspect({ path, filename });
  return (found.ok ? found.warnings : [found.problem]).map(({ code, message }) => `${code}: ${message}`);
}

/** Captions as people write them, in languages whose letters could be taken for garbled ones. */
const HONEST = [
  'um pão de queijo sobre a mesa, «AMANHû, “IRMÔ, NÃO',
  'một cô gái mặc áo dài trắng đứng bên hồ, Â',
  'un café noir, « déjà vu », 5 €, naïve — c’est ça',
  'мальчик с собакой у реки',
  '猫と電車 🚂',
  'zażółć gęślą jaźń',
  'Ã',
  'µ ± × ÷ ¿qué? ¡sí!',
];

/** The bytes 0x80 to 0x9F of Windows-1252. Node's own decoder takes them for control characters. */
const HIGH = '€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ';

function asWindows1252(text: string): string {
  return Buffer.from(text)
    .toString('latin1')
    .replace(/[\x80-\x9f]/g, (character) => HIGH[character.charCodeAt(0) - 0x80] ?? character);
}

describe('a garbled caption', () => {
  test.each(HONEST)(
    'is what UTF-8 becomes when it is read as Windows-1252 once or twice, and not before: %s',
    async (text) => {
      expect(await judgement(text)).toEqual([]);
      // A lone letter becomes two that can be meant.
      if ([...text].length > 1) expect((await judgement(asWindows1252(text)))[0]).toMatch(/^GARBLED_CAPTION/);
      expect((await judgement(asWindows1252(asWindows1252(`a ${text}`))))[0]).toMatch(/^GARBLED_CAPTION/);
    },
  );

  test('is shown with its first words', async () => {
    expect(await judgement(asWindows1252('a red wagon in front of a café, overcast sky, and it’s raining'))).toEqual([
      'GARBLED_CAPTION: a.txt was probably UTF-8 that a program read as Windows-1252, so accents and quotes are garbled: ' +
        '“cafÃ©, overcast sky, and itâ€™s raining”. Correct it, or save the original as UTF-8 and upload that.',
    ]);
    expect((await judgement(`good: café, bad: ${asWindows1252('café')}`))[0]).toContain('“cafÃ©”');
    expect((await judgement(`${'a red wagon, '.repeat(5000)}${asWindows1252('café')}`))[0]).toContain('“cafÃ©”');
  });
});

describe('another kind of document', () => {
  test.each([
    ['an HTML page', '<!DOCTYPE html>\n<html><head></head></html>', '<!DOCTYPE html> <html><head></head></html>'],
    ['an HTML page', '\n <html lang="en">\n', '<html lang="en">'],
    ['an RTF document', '{\\rtf1\\ansi a red wagon}', '{\\rtf1\\ansi a red wagon}'],
    [
      'a Git LFS pointer instead of the file',
      'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n',
      'version https://git-lfs.github.com/spec/v1 oid …',
    ],
  ])('%s', async (kind, content, words) => {
    expect(await judgement(content)).toEqual([
      `NOT_A_CAPTION: a.txt looks like ${kind}, and the trainer would train on that: “${words}”. Upload the caption itself.`,
    ]);
  });

  test.each(['<header> a tag', 'html, a web page on a screen', '<lora:style:0.8> a wagon', 'version 2 of the wagon'])(
    'is not %s',
    async (text) => {
      expect(await judgement(text)).toEqual([]);
    },
  );
});

test('a structured caption has up to 1 MB', async () => {
  expect(await judgement(`"${'a'.repeat(999_998)}"`, 'a.json')).toEqual([]);
  expect((await judgement(`"${'a'.repeat(999_999)}"`, 'a.json'))[0]).toMatch(/^CAPTION_NOT_JSON: .* 1,000,000 bytes/);
});

test('zero bytes are an error that says what the trainer does with them', async () => {
  expect(await judgement('a red\0 wagon')).toEqual([
    'CAPTION_HAS_NUL: a.txt contains zero bytes, which no text has: byte 5 is zero. ' +
      'The trainer would read the zeros as part of the prompt. Save it as UTF-8 and upload it again.',
  ]);
  expect((await judgement(Buffer.from('a red wagon', 'utf16le')))[0]).toMatch(
    /^CAPTION_HAS_NUL: a.txt looks like UTF-16, not UTF-8: byte 1 is zero/,
  );
  expect((await judgement(Buffer.from('a red wagon', 'utf16le').swap16()))[0]).toContain('looks like UTF-16');
  expect((await judgement(Buffer.alloc(100)))[0]).toContain('contains zero bytes');
});
