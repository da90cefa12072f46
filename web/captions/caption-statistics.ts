import type { DatasetFile } from '../../src/client/client.js';
import { groupedBy } from '../../src/dataset/grouped-by.js';
import type { Pair } from '../live/pairs.js';

/** Statistics of all captions of a dataset. @param textOf returns `undefined` for a text that is not known */
export function captionStatisticsOf(pairs: readonly Pair[], textOf: (file: DatasetFile) => string | undefined) {
  const textIn = ({ caption }: Pair) => (caption && textOf(caption))?.trim();
  const captioned = pairs.filter(({ caption }) => caption !== undefined);
  const blank = captioned.filter((pair) => textIn(pair) === '');
  const written = captioned.filter((pair) => textIn(pair) !== '');
  const byText = groupedBy(
    written.filter((pair) => textIn(pair) !== undefined),
    textIn,
  );
  const byLength = written
    .flatMap(({ caption }) => caption ?? [])
    .sort((a, b) => (a.characters ?? 0) - (b.characters ?? 0));
  const middle = byLength[Math.floor((byLength.length - 1) / 2)];
  return {
    captions: captioned.length,
    missing: pairs.filter(({ caption }) => caption === undefined),
    blank,
    /** Pairs whose captions have the same text, grouped by that text. */
    duplicates: [...byText.values()].filter((same) => same.length > 1).flat(),
    /** Among captions that are not blank, by their length in characters. */
    shortest: byLength[0],
    longest: byLength.at(-1),
    medianLength: middle && (middle.characters ?? 0),
  };
}

export type CaptionStatistics = ReturnType<typeof captionStatisticsOf>;
