import type { DatasetFile } from '../../src/client/client.js';
import type { Pair } from '../live/pairs.js';

/** Statistics of all captions of a dataset. */
export interface CaptionStatistics {
  readonly captions: number;
  readonly missing: readonly Pair[];
  readonly blank: readonly Pair[];
  /** Pairs whose captions have the same text, grouped by that text. */
  readonly duplicates: readonly Pair[];
  /** Among captions that are not blank, by their length in characters. */
  readonly shortest: DatasetFile | undefined;
  readonly longest: DatasetFile | undefined;
  readonly medianLength: number | undefined;
}

/** @param textOf returns `undefined` for a text that is not known */
export function captionStatisticsOf(
  pairs: readonly Pair[],
  textOf: (file: DatasetFile) => string | undefined,
): CaptionStatistics {
  const missing: Pair[] = [];
  const blank: Pair[] = [];
  const written: DatasetFile[] = [];
  const byText = new Map<string, Pair[]>();
  for (const pair of pairs) {
    const file = pair.caption;
    if (file === undefined) {
      missing.push(pair);
      continue;
    }
    const text = textOf(file)?.trim();
    if (text === '') {
      blank.push(pair);
      continue;
    }
    written.push(file);
    if (text === undefined) continue;
    const same = byText.get(text);
    if (same === undefined) byText.set(text, [pair]);
    else same.push(pair);
  }
  const byLength = written.toSorted((a, b) => captionLength(a) - captionLength(b));
  const middle = byLength[Math.floor((byLength.length - 1) / 2)];
  return {
    captions: written.length + blank.length,
    missing,
    blank,
    duplicates: [...byText.values()].filter((same) => same.length > 1).flat(),
    shortest: byLength[0],
    longest: byLength.at(-1),
    medianLength: middle && captionLength(middle),
  };
}

export function captionLength({ characters = 0 }: DatasetFile): number {
  return characters;
}
