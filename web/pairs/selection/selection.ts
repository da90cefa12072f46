import type { Pair } from '../../live/pairs.js';

/** Selected pairs, by their stems: the `Pair` objects are replaced whenever the dataset changes. */
export interface Selection {
  readonly stems: ReadonlySet<string>;
  /** The start of a range selection. */
  readonly anchor: string | undefined;
}

export const EMPTY_SELECTION: Selection = { stems: new Set(), anchor: undefined };

export function toggled({ stems }: Selection, stem: string): Selection {
  const next = new Set(stems);
  if (!next.delete(stem)) next.add(stem);
  return { stems: next, anchor: stem };
}

/** Adds the range from the anchor to a pair, in the order shown. The anchor stays. */
export function extended(selection: Selection, stem: string, shown: readonly Pair[]): Selection {
  const from = shown.findIndex((pair) => pair.stem === selection.anchor);
  const to = shown.findIndex((pair) => pair.stem === stem);
  if (from < 0 || to < 0) return toggled(selection, stem);
  const range = shown.slice(Math.min(from, to), Math.max(from, to) + 1);
  return { stems: new Set([...selection.stems, ...range.map((pair) => pair.stem)]), anchor: selection.anchor };
}

/** Selects the range from the anchor to a pair, and nothing else. Without a selection, `from` becomes the anchor. */
export function rangeOf(
  { anchor, stems }: Selection,
  { from, to }: { from: string; to: string },
  shown: readonly Pair[],
): Selection {
  const start = anchor !== undefined && stems.has(anchor) ? anchor : from;
  return extended({ stems: new Set(), anchor: start }, to, shown);
}

export function allOf(shown: readonly Pair[]): Selection {
  return { stems: new Set(shown.map(({ stem }) => stem)), anchor: shown[0]?.stem };
}

/**
 * Removes deleted pairs, so that a later pair of the same name is not selected.
 *
 * @returns the same object if nothing was deleted
 */
export function withoutDeleted(selection: Selection, pairs: readonly Pair[]): Selection {
  if (selection.stems.size === 0) return selection;
  const existing = new Set(pairs.map(({ stem }) => stem));
  const kept = [...selection.stems].filter((stem) => existing.has(stem));
  return kept.length === selection.stems.size ? selection : { ...selection, stems: new Set(kept) };
}
