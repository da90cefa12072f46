export interface Matching {
  readonly matchesCase: boolean;
  readonly wholeWords: boolean;
}

const SYNTAX = /[\\^$.*+?()[\]{}|/]/g;
const WORD = '[\\p{L}\\p{N}\\p{M}_]';
const STARTS_AS_WORD = new RegExp(`^${WORD}`, 'u');
const ENDS_AS_WORD = new RegExp(`${WORD}$`, 'u');

/** What makes one sign of several code points: accents, joiners, and shades of skin. */
const GOES_ON = '(?![\\p{M}\\u200d\\u{1f3fb}-\\u{1f3ff}])';

/**
 * Finds a plain text as people see it: `é` is one letter whether it was written as one code point or as two, and an `e` is
 * not found in it.
 */
export function patternOf(find: string, { matchesCase, wholeWords }: Matching): RegExp {
  const signs = find.normalize('NFC').match(/\P{M}\p{M}*|\p{M}+/gsu) ?? [];
  const source = signs.map((sign) => {
    const forms = [...new Set([sign, sign.normalize('NFD')])].map((form) => form.replaceAll(SYNTAX, '\\$&'));
    return forms.length === 1 ? forms[0] : `(?:${forms.join('|')})`;
  });
  const before = wholeWords && STARTS_AS_WORD.test(find) ? `(?<!${WORD})` : '(?<!\\u200d)';
  const after = wholeWords && ENDS_AS_WORD.test(find) ? `(?!${WORD})` : '';
  return new RegExp(before + source.join('') + GOES_ON + after, matchesCase ? 'gu' : 'giu');
}
