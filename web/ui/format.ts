// How numbers and errors appear on the page.

const WHOLE = new Intl.NumberFormat('en');
const UNITS = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'] as const;

/** `1,234`. */
export function numberOf(value: number): string {
  return WHOLE.format(value);
}

/** `1 image`, `1,234 images`. */
export function countOf(count: number, noun: string): string {
  return `${numberOf(count)} ${noun}${count === 1 ? '' : 's'}`;
}

/** `12.3 MB`: decimal units, powers of 1,000. */
export function sizeOf(bytes: number): string {
  const power = Math.min(Math.floor(Math.log10(Math.max(bytes, 1)) / 3), UNITS.length - 1);
  const value = bytes / 1000 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${UNITS[power]}`;
}

/** `5 s`, `3 min 20 s`, `2 h 5 min`. */
export function durationOf(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}

/** The length of a clip: `0:05`, `3:20`, `1:02:05`. */
export function clockOf(seconds: number): string {
  const whole = Math.max(1, Math.round(seconds));
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const [first = 0, ...rest] = parts[0] === 0 ? parts.slice(1) : parts;
  return [first, ...rest.map((part) => String(part).padStart(2, '0'))].join(':');
}

/** `a.txt, b.txt and 3 more`: the first names of a list. There may be more than `names` has. */
export function shortListOf(names: readonly string[], max: number, count = names.length): string {
  const shown = names.slice(0, max);
  const list = shown.join(', ');
  return count > shown.length ? `${list} and ${numberOf(count - shown.length)} more` : list;
}

/** The text with a capital, for the beginning of a sentence. */
export function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Makes texts comparable that differ in case or in the Unicode form of accents only. */
export function foldCase(text: string): string {
  return text.normalize('NFC').toLowerCase();
}

/** The message of a thrown value, for the user. */
export function messageOf(error: unknown): string {
  // A network error is a TypeError without a readable message (https://fetch.spec.whatwg.org/#fetch-method).
  if (error instanceof TypeError) return 'Could not reach the service. Check that it runs and that you are online.';
  return error instanceof Error ? error.message : String(error);
}
