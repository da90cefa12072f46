import { expect, test } from 'vitest';
import { isSentence, nearTagsAmong, retagged, withTag } from '../../../web/captions/tags/caption-tags.js';

const remove = (text: string, tag: string) => retagged(text, (each) => each === tag, '');
const rename = (text: string, tag: string, to: string) => retagged(text, (each) => each === tag, to);

test.each([
  ['blue sky, city, sunset', 'blue sky', 'city, sunset'],
  ['city, blue sky, sunset', 'blue sky', 'city, sunset'],
  ['city, sunset, blue sky\n', 'blue sky', 'city, sunset\n'],
  ['city,blue sky,sunset', 'blue sky', 'city,sunset'],
  [', blue sky, , city,', 'blue sky', 'city'],
  ['猫、犬，鳥', '犬', '猫、鳥'],
  ['one, two\r\nthree, four\r\n', 'two', 'one\r\nthree, four\r\n'],
  ['one\nthree\nfour', 'three', 'one\nfour'],
  ['blue  sky , city', 'blue sky', 'city'],
  // Only a whole tag is one, with its case.
  ['blue sky at night, Blue sky', 'blue sky', 'blue sky at night, Blue sky'],
])('of %j, the removed tag %s takes its comma', (text, tag, left) => {
  expect(remove(text, tag)).toBe(left);
});

test.each([
  ['blue_sky, city', 'blue_sky', 'blue sky', 'blue sky, city'],
  ['city, blue sky, blue_sky, sunset', 'blue_sky', 'blue sky', 'city, blue sky, sunset'],
  ['blue_sky, city, blue sky', 'blue_sky', ' blue sky, ', 'blue sky, city'],
  ['one, $&', 'one', '$&', '$&'],
])('in %j, %s is renamed to %s, and collapses onto the first', (text, tag, to, renamed) => {
  expect(rename(text, tag, to)).toBe(renamed);
});

test.each([
  ['city, sunset\n', 'dusk', 'city, sunset, dusk\n'],
  ['city, ', 'dusk', 'city, dusk'],
  [' \n', 'dusk', 'dusk'],
  ['city, dusk', ' dusk,', 'city, dusk'],
  ['red wagon', 'red', 'red wagon, red'],
  ['city', ' , ', 'city'],
])('to %j, the tag %j is added last, unless it is there', (text, tag, added) => {
  expect(withTag(text, tag)).toBe(added);
});

test('sentences are told from lists of tags', () => {
  const sentences = ['A dog runs over the field, chasing a ball.', 'a photo of a red wagon in the snow'];
  sentences.push('sks. The wagon stands still.', '一只猫坐在红色的椅子上。');
  expect(sentences.filter((text) => !isSentence(text))).toEqual([]);
  const tags = ['red wagon', 'blue sky, city, sunset', '1girl, looking at viewer, st. louis', 'a wagon at dusk', ''];
  expect(tags.filter(isSentence)).toEqual([]);
});

test('near spellings are offered as merges, the rarer into the more frequent', () => {
  const counted = (counts: Record<string, number>) =>
    nearTagsAmong(Object.entries(counts).map(([term, count]) => ({ term, captions: Array(count).fill(0) }))).map(
      ({ from, to }) => [from.term, to.term],
    );
  expect(counted({ 'blue sky': 11, blue_sky: 2, 'Blue Sky': 1, wagons: 3, wagon: 9 })).toEqual([
    ['wagons', 'wagon'],
    ['blue_sky', 'blue sky'],
    ['Blue Sky', 'blue sky'],
  ]);
  expect(counted({ 'red wagon': 9, 'red wagen': 1, 'red wagn': 1 })).toEqual([
    ['red wagen', 'red wagon'],
    ['red wagn', 'red wagon'],
  ]);
  expect(counted({ '1girl': 9, '2girls': 1, cat: 9, hat: 1, 'long hair': 5, 'lone hair': 4 })).toEqual([]);
});
