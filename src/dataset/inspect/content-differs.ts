import { type Warning, warningIn } from '../problems.js';

/** The extension claims another type than the bytes are; `words` says which. `shown` is the name as messages have it. */
export function contentDiffers(named: { filename: string; shown: string }, words: string): Warning {
  const advice = 'It is used as what it is; rename it to avoid confusion.';
  return warningIn(named.filename, 'CONTENT_DIFFERS', `${named.shown} is ${words} by its content. ${advice}`);
}
