/** The encodings in which captions are written, the likely ones first (WHATWG Encoding). */
const ENCODINGS = ['windows-1252', 'windows-1251', 'windows-1250', 'shift_jis', 'gb18030', 'big5', 'euc-kr'] as const;

/** How a text reads in one encoding. */
export interface Reading {
  readonly encoding: string;
  readonly text: string;
}

/** A caption of more bytes is no caption. */
export const MAX_READ_BYTES = 64 * 1024;

/** Their presence shows a wrong encoding. */
const CONTROL = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]/;

/** How bytes read in each encoding in which they are valid, the most likely one first. */
export function readingsOf(bytes: Uint8Array): Reading[] {
  const marked = bytes[0] === 0xff ? ['utf-16le'] : bytes[0] === 0xfe ? ['utf-16be'] : [];
  const zeros = [0, 1].map((parity) => bytes.filter((byte, at) => byte === 0 && at % 2 === parity).length);
  const bare = zeros[1]! > zeros[0]! ? ['utf-16le'] : zeros[0]! > 0 ? ['utf-16be'] : [];
  const utf8 = decoded(bytes, 'utf-8');
  // Other encodings are hardly ever valid UTF-8 by chance.
  if (utf8 !== undefined && !utf8.includes('\0')) return [{ encoding: 'utf-8', text: utf8 }];
  return [...new Set([...marked, ...bare, ...ENCODINGS])].flatMap((encoding) => {
    const text = decoded(bytes, encoding);
    return text === undefined || CONTROL.test(text) ? [] : { encoding, text };
  });
}

function decoded(bytes: Uint8Array, encoding: string): string | undefined {
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch {
    return undefined;
  }
}

/** The bytes of each character of Windows-1252 beyond ASCII. */
const BYTES = new Map(
  Array.from({ length: 128 }, (_, at) => [new TextDecoder('windows-1252').decode(Uint8Array.of(at + 128)), at + 128]),
);

/** A text that was UTF-8 and was read as Windows-1252, as it was meant; `undefined` if it is something else. */
export function ungarbled(text: string): string | undefined {
  const bytes: number[] = [];
  for (const character of text) {
    const code = character.charCodeAt(0);
    const byte = code < 128 ? code : BYTES.get(character);
    if (byte === undefined) return undefined;
    bytes.push(byte);
  }
  const meant = decoded(Uint8Array.from(bytes), 'utf-8');
  return meant === text ? undefined : meant;
}
