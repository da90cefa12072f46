import fc from 'fast-check';
import { CONTENT_NAMES } from './contents.js';
import type { Change, Expected } from './dataset-model.js';

/** A change, a comparison of everything, or the removal of the dataset. */
export type Step = Change | { readonly do: 'compare' } | { readonly do: 'remove' };

/** Steps of one kind, so many times as often as one of weight 1. */
export function kind<D extends string, T extends object>(
  weight: number,
  name: D | readonly [D, ...D[]],
  fields: { readonly [K in keyof T]: fc.Arbitrary<T[K]> },
) {
  const names = typeof name === 'string' ? [name] : name;
  return { weight, arbitrary: fc.record({ do: fc.constantFrom(...names), ...fields }) as fc.Arbitrary<{ do: D } & T> };
}

/** Pairs, a name in two Unicode forms, extensions that collide when mounted, a type that the trainer ignores, bad names. */
const filename = fc.constantFrom(
  ...['a.jpg', 'a.txt', 'b.jpg', 'b.txt', 'c.png', 'c.txt', 'a.JPG', '\u00e9.jpg', 'e\u0301.jpg', '\u00e9.txt'],
  ...['x.gif', 'x.txt', 'a.exe', '.a.txt', '__proto__.txt'],
);
/** Mostly names of captions. */
const captionName = fc.constantFrom('a.txt', 'b.txt', 'c.txt', '\u00e9.txt', 'x.txt', 'a.jpg', '.a.txt');
const content = fc.constantFrom(...CONTENT_NAMES, 'red' as const, 'blue' as const);
const expected = fc.option(fc.constantFrom<Expected>('red', 'blue', 'absent'), { nil: undefined, freq: 2 });
const many = (maxKeys = 4) => ({ minKeys: 1, maxKeys, noNullPrototype: true });
const change: fc.Arbitrary<Change> = fc.oneof(
  kind(5, 'upload', { filename, content, expected }),
  kind(3, 'reserve', { files: fc.dictionary(filename, content, many(3)) }),
  kind(4, 'put', { link: fc.nat(20), content }),
  kind(2, 'delete', { filename, expected }),
  kind(1, 'withdraw', { filename }),
  kind(3, 'captions', { captions: fc.dictionary(captionName, fc.record({ content, expected }), many()) }),
);

export const step: fc.Arbitrary<Step> = fc.oneof({ weight: 12, arbitrary: change }, kind(1, ['compare', 'remove'], {}));
