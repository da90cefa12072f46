import { expect, test } from 'vitest';
import { nearestName } from '../src/nearest-name.js';

test('finds the first of the nearest names that are near enough', () => {
  expect(nearestName('dog', ['cat', 'dig', 'dag'], 2)).toBe('dig');
  expect(nearestName('dog', ['cat', 'dogs'], 0)).toBeUndefined();
  expect(nearestName('dog', ['dog'], 0)).toBe('dog');
  expect(nearestName('dog', ['horse'], 3)).toBeUndefined();
  expect(nearestName('dog', [], 9)).toBeUndefined();
  expect(nearestName('dogs', ['dog', 'dogse', 'dogs'], 1.5)).toBe('dogs');
});
