import { isUtf8 } from 'node:buffer';
import { TextDecoder } from 'node:util';
import { type Warning, warningIn } from '../problems.js';
import type { FileBytes } from './byte-source.js';
import { formatCount, InspectionError } from './inspection-error.js';

const PART_BYTES = 1 << 16;
const ADVICE =
  'The trainer would stop at it. Save it as UTF-8 and upload it again. ' +
  'The command "trainyard check FOLDER --fix" converts it if its encoding can be told.';
/** Inserted by text editors, from byte 0x91 on. */
const WINDOWS_1252 = ['opening quote', 'apostrophe', 'opening quote', 'closing quote', 'bullet', 'dash', 'dash'];

/**
 * As strict as Python with `encoding='utf-8'` (ai-toolkit `toolkit/dataloader_mixins.py:351`).
 *
 * @throws InspectionError `CAPTION_NOT_UTF8` with the first bad byte and the likely encoding; `CAPTION_HAS_NUL`
 */
export function readCaption(file: FileBytes) {
  const bom = file.upTo(0, 3).equals(Buffer.from([0xef, 0xbb, 0xbf]));
  if (utf16In(file.upTo(0, 2))) throw notUtf8('is UTF-16, not UTF-8 (it begins with a UTF-16 byte order mark)');
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  /** Code points, without a byte order mark. */
  let characters = 0;
  let blank = true;
  /** 64 KiB. */
  let beginning: string | undefined;
  for (let offset = bom ? 3 : 0; offset < file.size; ) {
    const part = file.upTo(offset, PART_BYTES);
    const zero = part.indexOf(0);
    if (zero !== -1) throw zeroByte(file, offset + zero);
    const text = decodePart(decoder, part, { last: offset + part.length === file.size });
    if (text === undefined) throw notUtf8(describeFirstBadByte(file, { start: offset, end: offset + part.length }));
    characters += text.length - (text.match(/[\ud800-\udbff]/g)?.length ?? 0);
    blank &&= text.trim() === '';
    beginning ??= text;
    offset += part.length;
  }
  return { characters, bom, blank, beginning: beginning ?? '' };
}

function decodePart(decoder: TextDecoder, part: Buffer, { last }: { last: boolean }): string | undefined {
  try {
    return decoder.decode(part, { stream: !last });
  } catch {
    return undefined;
  }
}

/** By the byte order mark. */
export function utf16In(bytes: Buffer): 'utf-16le' | 'utf-16be' | undefined {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le';
  return bytes[0] === 0xfe && bytes[1] === 0xff ? 'utf-16be' : undefined;
}

/** Python takes zero bytes for characters of the prompt (ai-toolkit `toolkit/dataloader_mixins.py:351`). */
function zeroByte(file: FileBytes, offset: number): InspectionError {
  const found = isUtf16(file) ? 'looks like UTF-16, not UTF-8' : 'contains zero bytes, which no text has';
  return new InspectionError(
    'CAPTION_HAS_NUL',
    `${found}: byte ${formatCount(offset)} is zero. The trainer would read the zeros as part of the prompt. ` +
      'Save it as UTF-8 and upload it again.',
  );
}

/** In UTF-16 of Latin letters, nearly every second byte is zero. */
function isUtf16(file: FileBytes): boolean {
  const bytes = file.upTo(0, 1024);
  const zeros = [0, 0];
  for (const [at, byte] of bytes.entries()) if (byte === 0) zeros[at & 1] = (zeros[at & 1] ?? 0) + 1;
  const [even = 0, odd = 0] = zeros;
  return Math.max(even, odd) >= bytes.length / 5 && Math.min(even, odd) <= bytes.length / 40;
}

function notUtf8(reason: string): InspectionError {
  return new InspectionError('CAPTION_NOT_UTF8', `${reason}. ${ADVICE}`);
}

const REPLACEMENT = Buffer.from('\ufffd');

/** @param part where decoding failed; the last character before it may continue in it */
function describeFirstBadByte(file: FileBytes, part: { start: number; end: number }): string {
  let start = Math.max(0, part.start - 3);
  while (start < part.start && isContinuation(file.at(start, 1)[0] ?? 0)) start++;
  const bytes = file.copy(start, Math.min(part.end + 3, file.size));
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
  let [at, decoded] = [0, 0];
  for (const { index } of text.matchAll(/\ufffd/g)) {
    at += Buffer.byteLength(text.slice(decoded, index));
    decoded = index;
    if (!bytes.subarray(at, at + 3).equals(REPLACEMENT)) break;
  }
  return describeByte(bytes.subarray(at, at + 4), start + at);
}

const isContinuation = (byte: number) => byte >= 0x80 && byte <= 0xbf;

function describeByte(bytes: Buffer, offset: number): string {
  const byte = bytes[0] ?? 0;
  const where = `is not UTF-8: byte ${formatCount(offset)} is 0x${byte.toString(16).toUpperCase()}`;
  if (offset + bytes.length > 0 && byte >= 0xc2 && bytes.length < 4 && bytes.subarray(1).every(isContinuation)) {
    return `${where}, the start of an incomplete character`;
  }
  const sign = WINDOWS_1252[byte - 0x91];
  if (sign !== undefined) return `${where}, a Windows-1252 ${sign}`;
  if (byte >= 0xc0) return `${where}, in Windows-1252 the letter ${String.fromCharCode(byte)}`;
  return where;
}

const SHOWN_CHARACTERS = 48;

/** What a caption seems to be instead. */
export function doubtsAbout(beginning: string, { filename, shown }: { filename: string; shown: string }): Warning[] {
  const kind = documentKindOf(beginning);
  if (kind !== undefined) {
    const message = `${shown} looks like ${kind}, and the trainer would train on that: “${firstWordsOf(beginning)}”. Upload the caption itself.`;
    return [warningIn(filename, 'NOT_A_CAPTION', message)];
  }
  const garbled = garbledPartOf(beginning);
  if (garbled === undefined) return [];
  const cause = `${shown} was probably UTF-8 that a program read as Windows-1252, so accents and quotes are garbled`;
  const advice = 'Correct it, or save the original as UTF-8 and upload that.';
  return [warningIn(filename, 'GARBLED_CAPTION', `${cause}: “${firstWordsOf(garbled)}”. ${advice}`)];
}

function documentKindOf(beginning: string): string | undefined {
  const text = beginning.trimStart().slice(0, 200).toLowerCase();
  if (/^<(?:!doctype html|html|head|body)[\s>]/.test(text)) return 'an HTML page';
  if (text.startsWith('version https://git-lfs.')) return 'a Git LFS pointer instead of the file';
  if (text.startsWith('{\\rtf')) return 'an RTF document';
  return undefined;
}

/** The bytes 0x80 to 0x9F. The five that Windows-1252 leaves out are control characters (WHATWG Encoding). */
export const WINDOWS_1252_HIGH = '€\x81‚ƒ„…†‡ˆ‰Š‹Œ\x8dŽ\x8f\x90‘’“”•–—˜™š›œ\x9džŸ';

const BYTE_OF = new Map([...WINDOWS_1252_HIGH].map((character, index) => [character.charCodeAt(0), 0x80 + index]));

/** Occur only in misread UTF-8. Sequences are left out that capitals have before a quotation mark (Portuguese `IRMû`). */
const UNMISTAKABLE = /â€[\x80-\x9fœ™˜¦¢“”\u02dc]|Ã[\xa1-\xaa\xac-\xba\xbc-\xbf]/;

/** A word's final `Ã` and punctuation, which are UTF-8 by chance. */
const BY_CHANCE = /Ã[‚„…‘’“”–—](?!\p{L})/gu;

/** From shortly before the first garbled character. */
function garbledPartOf(text: string): string | undefined {
  const found = UNMISTAKABLE.exec(text)?.index ?? (isUtf8AsWindows1252(text) ? text.search(/[^\0-\x7f]/) : undefined);
  if (found === undefined) return undefined;
  const before = text.slice(Math.max(0, found - 16), found);
  return text.slice(found - before.length + before.search(/\S*$/));
}

/** Whether the text, written as Windows-1252, is UTF-8 beyond ASCII. */
function isUtf8AsWindows1252(text: string): boolean {
  const bytes = Buffer.alloc(text.length);
  let isAscii = true;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    const byte = code < 0x100 ? code : BYTE_OF.get(code);
    if (byte === undefined) return false;
    if (byte >= 0x80) isAscii = false;
    bytes[at] = byte;
  }
  return !isAscii && !/^[\0-\x7f]*$/.test(text.replace(BY_CHANCE, '')) && isUtf8(bytes);
}

/** On one line, without control characters. */
export function firstWordsOf(text: string): string {
  const line = text.replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, ' ').trim();
  const characters = [...line.slice(0, SHOWN_CHARACTERS * 2)];
  return characters.length > SHOWN_CHARACTERS
    ? `${characters.slice(0, SHOWN_CHARACTERS - 1).join('')}…`
    : characters.join('');
}
