import fc from 'fast-check';
import { CONTENT_NAMES } from './contents.js';
import type { Change, Expected } from './dataset-model.js';

/** A change, several at once to different files, a comparison of everything, or the removal of the dataset. */
export type Step =
  | Change
  | { readonly do: 'together'; readonly changes: readonly Change[] }
  | { readonly do: 'compare' }
  | { readonly do: 'remove' };

/** Pairs, a name in two Unicode forms, extensions that collide when mounted, a type that the trainer ignores, bad names. */
const filename = fc.constantFrom(
  ...[
    'a.jpg',
    'a.txt',
    'b.jpg',
    'b.txt',
    'c.png',
    'c.txt',
    'a.JPG',
    '\u00e9.jpg',
    'e\u0301.jpg',
    '\u00e9.txt',
    'x.gif',
    'x.txt',
  ],
  ...['a.exe', '.a.txt', '__proto__.txt'],
);
/** Mostly names of captions. */
const captionName = fc.constantFrom('a.txt', 'b.txt', 'c.txt', '\u00e9.txt', 'x.txt', 'a.jpg', '.a.txt');
const content = fc.constantFrom(...CONTENT_NAMES, 'red' as const, 'blue' as const);
const link = fc.nat(20);
const expected = fc.option(fc.constantFrom<Expected>('red', 'blue', 'absent'), { nil: undefined, freq: 2 });
const many = { minKeys: 1, maxKeys: 4, noNullPrototype: true };

const change: fc.Arbitrary<Change> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('upload' as const), filename, content, expected }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('reserve' as const),
      files: fc.dictionary(filename, content, { minKeys: 1, maxKeys: 3, noNullPrototype: true }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('put' as const), link, content }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('delete' as const), filename, expected }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('withdraw' as const), filename }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('captions' as const),
      captions: fc.dictionary(captionName, fc.record({ content, expected }), many),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('delete files' as const),
      files: fc.dictionary(filename, fc.constantFrom<Expected | 'any'>('any', 'red', 'blue', 'absent'), many),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('withdraw uploads' as const),
      filenames: fc.uniqueArray(filename, { minLength: 1, maxLength: 4 }),
    }),
  },
);

export const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 12, arbitrary: change },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('together' as const),
      changes: fc.array(change, { minLength: 2, maxLength: 5 }),
    }),
  },
  { weight: 1, arbitrary: fc.constantFrom({ do: 'compare' as const }, { do: 'remove' as const }) },
);
