import type { Pair } from '../../live/pairs.js';

/** Pairs that are selected, by their stems, since the pairs themselves are made anew whenever something changes. */
export interface Selection {
  readonly stems: ReadonlySet<string>;
  /** Where a range begins. */
  readonly anchor: string | undefined;
}

export const EMPTY_SELECTION: Selection = { stems: new Set(), anchor: undefined };

export function toggled({ stems }: Selection, stem: string): Selection {
  const next = new Set(stems);
  if (!next.delete(stem)) next.add(stem);
  return { stems: next, anchor: stem };
}

/** With everything from the anchor up to there, in the order shown; the anchor stays. */
export function extended(selection: Selection, stem: string, shown: readonly Pair[]): Selection {
  const from = shown.findIndex((pair) => pair.stem === selection.anchor);
  const to = shown.findIndex((pair) => pair.stem === stem);
  if (from < 0 || to < 0) return toggled(selection, stem);
  const range = shown.slice(Math.min(from, to), Math.max(from, to) + 1);
  return { stems: new Set([...selection.stems, ...range.map((pair) => pair.stem)]), anchor: selection.anchor };
}

export function allOf(shown: readonly Pair[]): Selection {
  return { stems: new Set(shown.map(({ stem }) => stem)), anchor: shown[0]?.stem };
}

/** Without those that are gone, so that one who comes back under such a name is not selected; itself where none are. */
export function withoutDeleted(selection: Selection, pairs: readonly Pair[]): Selection {
  if (selection.stems.size === 0) return selection;
  const there = new Set(pairs.map(({ stem }) => stem));
  const kept = [...selection.stems].filter((stem) => there.has(stem));
  return kept.length === selection.stems.size ? selection : { ...selection, stems: new Set(kept) };
}
