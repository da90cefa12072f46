import { firstWordsOf } from '../inspect/caption-content.js';
import { decodeWindows1252, isPlausibleWindows1252 } from './windows-1252.js';

export const MAX_FIXED_CAPTION_BYTES = 64 * 1024;

export type FixedCaption =
  | {
      readonly ok: true;
      /** UTF-8 without a byte order mark. */
      readonly bytes: Buffer;
      /** Includes the text as it reads afterwards. */
      readonly change: string;
    }
  /** The rest of a sentence, with how a person fixes it. */
  | { readonly ok: false; readonly reason: string };

const BYTE_ORDER_MARKS = /^\ufeff+/;

/** Their presence shows a wrong encoding. */
const CONTROL = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/;

/** Converts only what is certain: text with a byte order mark, or plausible Windows-1252. */
export function fixCaption(bytes: Buffer): FixedCaption {
  const utf16 = utf16In(bytes);
  if (utf16 !== undefined) return fixUtf16(bytes, utf16);
  const text = decoded(bytes, 'utf-8');
  if (bytes.includes(0)) {
    const reason = 'contains zero bytes, so its encoding is not certain. If it is UTF-16, convert it with';
    return { ok: false, reason: `${reason} ${iconv('UTF-16LE')}.` };
  }
  if (text !== undefined) {
    if (!BYTE_ORDER_MARKS.test(text)) return { ok: false, reason: 'is UTF-8 without a byte order mark already.' };
    return { ok: true, bytes: utf8(text), change: 'its byte order mark is removed' };
  }
  const latin = decodeWindows1252(bytes);
  if (CONTROL.test(latin) || !isPlausibleWindows1252(latin)) {
    const encodings = 'WINDOWS-1252, CP1251, SHIFT-JIS or GB18030';
    const reason = `is not UTF-8, and its encoding is not certain. Convert it with ${iconv('ENCODING')}; ENCODING may be ${encodings}.`;
    return { ok: false, reason };
  }
  return {
    ok: true,
    bytes: utf8(latin),
    change: `from Windows-1252 (assumed) to UTF-8; it reads ${quotationOf(latin)}`,
  };
}

function utf16In(bytes: Buffer): 'utf-16le' | 'utf-16be' | undefined {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return 'utf-16le';
  return bytes[0] === 0xfe && bytes[1] === 0xff ? 'utf-16be' : undefined;
}

function fixUtf16(bytes: Buffer, encoding: 'utf-16le' | 'utf-16be'): FixedCaption {
  const text = decoded(bytes, encoding);
  if (text === undefined || CONTROL.test(text)) {
    const reason = 'begins like UTF-16, but is not valid UTF-16. Write the caption again.';
    return { ok: false, reason };
  }
  return { ok: true, bytes: utf8(text), change: `from UTF-16 to UTF-8; it reads ${quotationOf(text)}` };
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
