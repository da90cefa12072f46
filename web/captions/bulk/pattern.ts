export interface Matching {
  readonly matchesCase: boolean;
  readonly wholeWords: boolean;
}

const SYNTAX = /[\\^$.*+?()[\]{}|/]/g;
const WORD = '[\\p{L}\\p{N}\\p{M}_]';
const STARTS_AS_WORD = new RegExp(`^${WORD}`, 'u');
const ENDS_AS_WORD = new RegExp(`${WORD}$`, 'u');

/** Code points that extend the character before them: accents, joiners, and skin tones. */
const NOT_EXTENDED = '(?![\\p{M}\\u200d\\u{1f3fb}-\\u{1f3ff}])';

/**
 * Makes a pattern that finds a plain text by visible characters: `é` matches in both Unicode forms, and `e` does not match
 * within `é`.
 */
export function patternOf(find: string, { matchesCase, wholeWords }: Matching): RegExp {
  const characters = find.normalize('NFC').match(/\P{M}\p{M}*|\p{M}+/gsu) ?? [];
  const source = characters.map((character) => {
    const forms = [...new Set([character, character.normalize('NFD')])].map((form) => form.replaceAll(SYNTAX, '\\$&'));
    return forms.length === 1 ? forms[0] : `(?:${forms.join('|')})`;
  });
  const before = wholeWords && STARTS_AS_WORD.test(find) ? `(?<!${WORD})` : '(?<!\\u200d)';
  const after = wholeWords && ENDS_AS_WORD.test(find) ? `(?!${WORD})` : '';
  return new RegExp(before + source.join('') + NOT_EXTENDED + after, matchesCase ? 'gu' : 'giu');
}
