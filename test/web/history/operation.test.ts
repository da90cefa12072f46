import { expect, test } from 'vitest';
import { operationOf } from '../../../web/history/operation.js';

const wordsOf = (...changes: [string, string][]) => operationOf(changes.map(([before, after]) => ({ before, after })));

test('an operation on all captions alike is named by what it did', () => {
  expect(wordsOf(['a wagon', 'evng, a wagon'], ['city, sky', 'evng, city, sky'])).toBe('Prepended “evng”');
  expect(wordsOf(['a wagon', 'a wagon, dusk'], ['city', 'city, dusk'])).toBe('Appended “dusk”');
  expect(wordsOf(['a, city, sky', 'a, sky'], ['city, b', 'b'])).toBe('Removed the tag “city”');
  expect(wordsOf(['a, blue_sky', 'a, blue sky'], ['blue_sky, b', 'blue sky, b'])).toBe(
    'Renamed the tag “blue_sky” to “blue sky”',
  );
  expect(wordsOf(['a red wagon', 'a blue wagon'], ['the red sky', 'the blue sky'])).toBe('Replaced “red” with “blue”');
});

test('captions that changed in different ways have no such words', () => {
  expect(wordsOf(['a wagon', 'one wagon'], ['a train', 'a red train'])).toBeUndefined();
  expect(wordsOf(['a wagon', 'evng, a wagon'], ['a train', 'dusk, a train'])).toBeUndefined();
  expect(wordsOf(['a', 'x'.repeat(100)])).toBeUndefined();
  expect(wordsOf()).toBeUndefined();
});
