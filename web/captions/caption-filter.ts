import type { Pair } from '../live/pairs.js';
import { countOf } from '../ui/format.js';
import type { Facts } from './caption-facts.js';
import { TERM_KINDS, type TermKind } from './terms/terms.js';
import type { Counted } from './terms/use-terms.js';

export const ONLY = ['missing', 'blank', 'duplicates'] as const;
export type Only = (typeof ONLY)[number];

/** Which captions are listed; kept in the address, so that the way back leads to them. */
export type Choice =
  | { readonly kind: 'all' }
  | { readonly kind: TermKind; readonly term: string }
  | { readonly kind: 'only'; readonly only: Only };

export const ALL: Choice = { kind: 'all' };

export function choiceOf(parameters: URLSearchParams): Choice {
  for (const kind of TERM_KINDS) {
    const term = parameters.get(kind);
    if (term !== null) return { kind, term };
  }
  const only = ONLY.find((only) => only === parameters.get('only'));
  return only === undefined ? ALL : { kind: 'only', only };
}

export function parametersOf(choice: Choice): Record<string, string> {
  switch (choice.kind) {
    case 'all':
      return {};
    case 'only':
      return { only: choice.only };
    case 'tag':
    case 'word':
      return { [choice.kind]: choice.term };
  }
}

/** The pairs of a choice; `undefined` where that is not known yet. */
export function chosenOf(
  choice: Choice,
  { pairs, facts, counted }: { pairs: readonly Pair[]; facts: Facts; counted: Counted | undefined },
): readonly Pair[] | undefined {
  switch (choice.kind) {
    case 'all':
      return pairs;
    case 'only':
      return facts[choice.only];
    case 'tag':
    case 'word': {
      if (counted?.kind !== choice.kind) return undefined;
      const places = counted.terms.find(({ term }) => term === choice.term)?.places ?? [];
      return places.map((place) => counted.pairs[place]!);
    }
  }
}

/** `12 captions with the tag “snow”`, `all captions`. */
export function inWords(choice: Choice, count?: number): string {
  if (choice.kind === 'all') return 'all captions';
  const [noun, rest] = nounOf(choice);
  return (count === undefined ? `${noun}s` : countOf(count, noun)) + rest;
}

function nounOf(choice: Exclude<Choice, { kind: 'all' }>): readonly [noun: string, rest: string] {
  if (choice.kind !== 'only') return ['caption', ` with the ${choice.kind} “${choice.term}”`];
  switch (choice.only) {
    case 'missing':
      return ['picture', ' without a caption'];
    case 'blank':
      return ['blank caption', ''];
    case 'duplicates':
      return ['caption', ' with the very text of another'];
  }
}
