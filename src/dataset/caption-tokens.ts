/** Words, single signs, and single characters of scripts without spaces. */
const PIECES = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]|[\p{L}\p{M}]+|\p{N}|[^\s\p{L}\p{N}\p{M}]/gu;

/** Longer words are split by the vocabularies of CLIP and T5. */
const LETTERS_PER_TOKEN = 8;

/** About how many tokens a text encoder makes of a text: its own vocabulary is too large for a page. */
export function tokensOf(text: string): number {
  return (text.match(PIECES) ?? []).reduce((sum, piece) => sum + Math.ceil(piece.length / LETTERS_PER_TOKEN), 0);
}
