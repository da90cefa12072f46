import { differenceOf } from '../../dataset/history/word-difference.js';
import type { Painter } from './print.js';
import { printable } from './text.js';

/** How much of a longer run of equal text is printed at its start and at its end. */
const CONTEXT_CHARACTERS = 60;

/** The words of two texts, as `git diff --word-diff` marks them. */
export function wordLines(before: string, after: string, paint: Painter): string[] {
  const pieces = differenceOf(before, after);
  if (pieces.every(({ kind }) => kind === 'same'))
    return [paint('dim', '    the texts differ in their byte order mark')];
  const marked = pieces.map(({ kind, text }) => {
    if (kind === 'same') return shortened(text).split('\n').map(printable).join('\n');
    const [style, open, close] = kind === 'added' ? (['green', '{+', '+}'] as const) : (['red', '[-', '-]'] as const);
    // A line end that was added or removed is marked, since it can't be seen.
    return paint(style, `${open}${printable(text.replaceAll('\n', '↵'))}${close}`);
  });
  return marked
    .join('')
    .split('\n')
    .map((line) => `    ${line}`);
}

function shortened(text: string): string {
  if (text.length <= 2 * CONTEXT_CHARACTERS) return text;
  return `${text.slice(0, CONTEXT_CHARACTERS)} … ${text.slice(-CONTEXT_CHARACTERS)}`;
}
