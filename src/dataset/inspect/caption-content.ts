import type { WarningCode } from '../problems.js';

const SHOWN_CHARACTERS = 48;

/** The rest of a sentence: what a caption seems to be instead. */
export interface CaptionDoubt {
  readonly code: Extract<WarningCode, 'NOT_A_CAPTION' | 'GARBLED_CAPTION'>;
  readonly message: string;
}

export function doubtAbout(beginning: string): CaptionDoubt | undefined {
  const kind = documentKindOf(beginning);
  if (kind !== undefined) {
    return {
      code: 'NOT_A_CAPTION',
      message: `looks like ${kind}, and the trainer would train on that: “${firstWordsOf(beginning)}”. Upload the caption itself.`,
    };
  }
  const garbled = garbledPartOf(beginning);
  if (garbled === undefined) return undefined;
  return {
    code: 'GARBLED_CAPTION',
    message:
      `was probably UTF-8 that a program read as Windows-1252, so accents and quotes are garbled: “${firstWordsOf(garbled)}”. ` +
      'Correct it, or save the original as UTF-8 and upload that.',
  };
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
  if (isAscii || /^[\0-\x7f]*$/.test(text.replace(BY_CHANCE, ''))) return false;
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

/** On one line, without control characters. */
export function firstWordsOf(text: string): string {
  const line = text.replace(/[\p{Cc}\p{Zl}\p{Zp}\s]+/gu, ' ').trim();
  const characters = [...line.slice(0, SHOWN_CHARACTERS * 2)];
  return characters.length > SHOWN_CHARACTERS
    ? `${characters.slice(0, SHOWN_CHARACTERS - 1).join('')}…`
    : characters.join('');
}
