import { firstWordsOf, utf16In, WINDOWS_1252_HIGH } from '../inspect/inspect-caption.js';
import { NotFixable } from './not-fixable.js';

export const MAX_FIXED_CAPTION_BYTES = 64 * 1024;

interface FixedCaption {
  /** UTF-8 without a byte order mark. */
  readonly bytes: Buffer;
  /** Includes the text as it reads afterwards. */
  readonly change: string;
}

const BYTE_ORDER_MARKS = /^\ufeff+/;

/** Their presence shows a wrong encoding. */
const CONTROL = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/;

/** Converts only what is certain: text with a byte order mark, or plausible Windows-1252. @throws NotFixable with how a person fixes it */
export function fixCaption(bytes: Buffer): FixedCaption {
  const utf16 = utf16In(bytes);
  if (utf16 !== undefined) return fixUtf16(bytes, utf16);
  const text = decoded(bytes, 'utf-8');
  if (bytes.includes(0)) {
    const reason = 'contains zero bytes, so its encoding is not certain. If it is UTF-16, convert it with';
    throw new NotFixable(`${reason} ${iconv('UTF-16LE')}.`);
  }
  if (text !== undefined) {
    if (!BYTE_ORDER_MARKS.test(text)) throw new NotFixable('is UTF-8 without a byte order mark already.');
    return { bytes: utf8(text), change: 'its byte order mark is removed' };
  }
  const latin = decodeWindows1252(bytes);
  if (CONTROL.test(latin) || !isPlausibleWindows1252(latin)) {
    const encodings = 'WINDOWS-1252, CP1251, SHIFT-JIS or GB18030';
    const advice = `Convert it with ${iconv('ENCODING')}; ENCODING may be ${encodings}.`;
    throw new NotFixable(`is not UTF-8, and its encoding is not certain. ${advice}`);
  }
  return { bytes: utf8(latin), change: `from Windows-1252 (assumed) to UTF-8; it reads ${quotationOf(latin)}` };
}

function fixUtf16(bytes: Buffer, encoding: 'utf-16le' | 'utf-16be'): FixedCaption {
  const text = decoded(bytes, encoding);
  if (text === undefined || CONTROL.test(text)) {
    throw new NotFixable('begins like UTF-16, but is not valid UTF-16. Write the caption again.');
  }
  return { bytes: utf8(text), change: `from UTF-16 to UTF-8; it reads ${quotationOf(text)}` };
}

function decoded(bytes: Buffer, encoding: string): string | undefined {
  try {
    return new TextDecoder(encoding, { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

const utf8 = (text: string) => Buffer.from(text.replace(BYTE_ORDER_MARKS, ''));

const iconv = (encoding: string) => `iconv -f ${encoding} -t UTF-8`;

/** Around the first character beyond ASCII. */
function quotationOf(text: string): string {
  const plain = text.replace(BYTE_ORDER_MARKS, '');
  const start = plain.slice(0, Math.max(0, plain.search(/[^\0-\x7f]/) - 16)).lastIndexOf(' ') + 1;
  return `“${firstWordsOf(plain.slice(start))}”`;
}

/** Node's own decoder takes the bytes 0x80 to 0x9F for control characters (Node 20). */
function decodeWindows1252(bytes: Buffer): string {
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

function isPlausibleWindows1252(text: string): boolean {
  const accented = text.match(/(?![A-Za-z])\p{L}/gu)?.length ?? 0;
  const letters = text.match(/\p{L}/gu)?.length ?? 0;
  if (accented * 3 > letters) return false;
  for (const { index } of text.matchAll(/[^\0-\x7f]/g)) {
    SENSIBLE.lastIndex = index;
    if (!SENSIBLE.test(text)) return false;
  }
  return true;
}
