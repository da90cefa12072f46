import { expect, test } from 'vitest';
import { nameForFormat, TakenNames } from '../../../src/dataset/fix/media-names.js';

test('a name stays if its extension fits the format', () => {
  expect(nameForFormat('a.JPEG', 'jpeg')).toBe('a.JPEG');
  expect(nameForFormat('a.heic', 'jpeg')).toBe('a.jpg');
  expect(nameForFormat('a.b.gif', 'png')).toBe('a.b.png');
});

test('a renamed file may share its stem with another one, and a converted image may not', () => {
  const names = new TakenNames(['a.jpg', 'a.webp', 'b.gif', 'b.txt', 'cafe\u0301.gif', 'CAF\u00c9.bmp']);
  expect(names.claim('a.png', { from: 'a.jpg', isConverted: false })).toBeUndefined();
  expect(names.claim('a.PNG', { from: 'a.webp', isConverted: false })).toContain(
    'not renamed to a.PNG, since there is a.png',
  );
  expect(names.claim('b.png', { from: 'b.gif', isConverted: true })).toBeUndefined();
  const twin = names.claim('cafe\u0301.png', { from: 'cafe\u0301.gif', isConverted: true });
  expect(twin).toContain('is not converted to cafe\u0301.png, since there is CAF\u00c9.bmp already');
});
