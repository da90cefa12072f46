import { WINDOWS_1252_HIGH } from '../inspect/caption-content.js';

/** Node's own decoder takes the bytes 0x80 to 0x9F for control characters (Node 20). */
export function decodeWindows1252(bytes: Buffer): string {
  return bytes
    .toString('latin1')
    .replace(/[\x80-\x9f]/g, (character) => WINDOWS_1252_HIGH[character.charCodeAt(0) - 0x80] ?? character);
}

/*
 * Any bytes are Windows-1252, so each character beyond ASCII must make sense where it stands. Other encodings leave traces, such
 * as words of foreign letters only, capitals after small letters, open quotes, and signs within words (Windows-1250 ł is ³).
 * Icelandic and Baltic letters are left out: their bytes are common letters of Turkish and Czech.
 */
const SMALL = '[àáâãäåçéëíîïóôõöøùúûüß]|[èêìò](?![jkwz])';
const CAPITAL = 'ÀÁÂÃÄÅÇÈÉÊËÌÍÎÏÓÔÖØÙÚÛÜ';
const WORD = '[\\p{L}\\p{N}]';

const SENSIBLE = new RegExp(
  [
    // Letters have an ASCII letter beside them, so that at most two stand together: créée.
    // č and ę of Windows-1250 are è and ê, and often stand before k.
    `(?:${SMALL})(?=[a-z])|(?<=[A-Za-z])(?:${SMALL})`,
    `(?<!\\p{L})[${CAPITAL}](?=[a-z]|[A-Z]\\p{Lu})|(?<=[A-Z])[${CAPITAL}](?!\\p{Ll})`,
    // The ń of Polish stands before consonants and ends words; ñ does not. Its ć follows vowels, its ś stands before consonants.
    '[ñÑ](?=[aeiouAEIOUáéíóú])|(?<![aeiouyAEIOUY])æ(?=[a-z])|(?<=[bcdfghjklmnpqrstvwxz])æ|(?<!\\p{L})Æ(?=[a-z])',
    'œ(?=[uei])|Œ(?=[uU])',
    // Words of one letter in French, Italian, Portuguese and Spanish.
    '(?<=^|\\s)[àèéóÀ](?=\\s)',
    `(?<=${WORD}[.,!?)]?)’|’(?=\\d)`,
    `(?<!${WORD})‘(?=${WORD}[^‘]*’)`,
    `(?<!${WORD})“(?=\\S[^“]*”)|(?<=“[^”]*)”(?!${WORD})|(?<=\\d)”`,
    `(?<!${WORD})«(?=[^«]*»)|(?<=«[^»]*)»(?!${WORD})`,
    `[–—](?=\\s|$)|(?<=${WORD})[–—](?=${WORD})`,
    `…(?!\\p{L})`,
    '(?<=^|\\s)•(?=\\s)',
    '\\u00a0',
    '(?<=\\d\\s?)°|°(?=[CF](?!\\p{L}))',
    `(?<!${WORD})[©€£](?=\\s?\\d)|(?<=\\d\\s?)€|(?<=[A-Za-z0-9])[®™](?!${WORD})`,
    `(?<=\\d\\s?)×(?=\\s?\\d)|(?<=\\d|\\s)[½¼¾](?!\\p{L})`,
    `(?<!${WORD})¿(?=\\p{L}[^¿]*\\?)|(?<!${WORD})¡(?=\\p{L}[^¡]*!)`,
  ].join('|'),
  'uy',
);

export function isPlausibleWindows1252(text: string): boolean {
  const accented = text.match(/(?![A-Za-z])\p{L}/gu)?.length ?? 0;
  const letters = text.match(/\p{L}/gu)?.length ?? 0;
  if (accented * 3 > letters) return false;
  for (const { index } of text.matchAll(/[^\0-\x7f]/g)) {
    SENSIBLE.lastIndex = index;
    if (!SENSIBLE.test(text)) return false;
  }
  return true;
}
