import { expect, test } from 'vitest';
import { chordOf, KEY_TABLE, type KeyRow, keyNameOf, keyText, withKey } from '../../../web/keys.js';
import { tokensOf } from '../../../src/dataset/caption-tokens.js';

const NO_MODIFIERS = { ctrlKey: false, metaKey: false, altKey: false, shiftKey: false };

test.each([
  [{ key: 'Enter', ctrlKey: true, shiftKey: true }, 'Ctrl+Shift+Enter'],
  [{ key: 'j', metaKey: true }, 'Ctrl+J'],
  [{ key: ' ' }, 'Space'],
  [{ key: ' ', shiftKey: true }, 'Shift+Space'],
  // A German keyboard needs the shift key for both, an American one for the first alone.
  [{ key: '?', shiftKey: true }, '?'],
  [{ key: '/', shiftKey: true }, '/'],
  [{ key: 'e', altKey: true }, 'Alt+E'],
])('the key press %o is written as %s', (press, chord) => {
  expect(chordOf({ ...NO_MODIFIERS, ...press })).toBe(chord);
});

test('a key does one thing in each place', () => {
  const rows: readonly KeyRow[] = Object.values(KEY_TABLE);
  const bound = rows.flatMap(({ place, keys }) => keys.map((key) => `${place}: ${key}`));
  expect(bound.filter((key, index) => bound.indexOf(key) !== index)).toEqual([]);
});

test('a key after another one can have a meaning of its own', () => {
  const press = { ...NO_MODIFIERS, key: 'f' };
  expect([keyNameOf(press, 'page', 'G'), keyNameOf(press, 'page', 'H'), keyNameOf(press, 'page')]).toEqual([
    'fitness',
    undefined,
    undefined,
  ]);
  expect(keyNameOf({ ...NO_MODIFIERS, key: 'S' }, 'page', 'G')).toBe('sort');
});

test('keys are written for a person', () => {
  expect(['G F', 'Ctrl+Enter', '+', 'Escape'].map(keyText)).toEqual(['G then F', 'Ctrl+Enter', '+', 'Esc']);
  expect(withKey('History', 'history')).toBe('History (G then H)');
});

test.each([
  ['', 0],
  ['a red wagon, at dusk', 6],
  ['猫と犬', 3],
  ['photosynthesis', 2],
])('about as many tokens are counted as an encoder reads: %s', (text, tokens) => {
  expect(tokensOf(text)).toBe(tokens);
});
