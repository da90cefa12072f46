import { describe, expect, test } from 'vitest';
import { isSentence, nearTagsAmong, retagged, tagsIn, withTag } from '../../../web/captions/tags/caption-tags.js';

const remove = (text: string, tag: string) => retagged(text, (each) => each === tag, '');
const rename = (text: string, tag: string, to: string) => retagged(text, (each) => each === tag, to);

describe('the tags of a caption', () => {
  test('are trimmed, keep their case, and are listed once', () => {
    expect(tagsIn(' red wagon,snow,, Snow ,red  wagon\nnew line, ')).toEqual(['red wagon', 'snow', 'Snow', 'new line']);
    expect(tagsIn(' , ')).toEqual([]);
  });

  test('a removed tag takes its comma', () => {
    expect(remove('blue sky, city, sunset', 'blue sky')).toBe('city, sunset');
    expect(remove('city, blue sky, sunset', 'blue sky')).toBe('city, sunset');
    expect(remove('city, sunset, blue sky\n', 'blue sky')).toBe('city, sunset\n');
    expect(remove('city,blue sky,sunset', 'blue sky')).toBe('city,sunset');
    expect(remove('blue sky', 'blue sky')).toBe('');
    expect(remove(', blue sky, , city,', 'blue sky')).toBe('city');
    expect(remove('猫、犬，鳥', '犬')).toBe('猫、鳥');
    expect(remove('one, two\r\nthree, four\r\n', 'two')).toBe('one\r\nthree, four\r\n');
    expect(remove('one\nthree\nfour', 'three')).toBe('one\nfour');
  });

  test('only a whole tag is one, with its case', () => {
    for (const text of ['blue sky at night, Blue sky', 'sky', '']) expect(remove(text, 'blue sky')).toBe(text);
    expect(remove('blue  sky , city', 'blue sky')).toBe('city');
  });

  test('a renamed one that exists collapses onto the first', () => {
    expect(rename('blue_sky, city', 'blue_sky', 'blue sky')).toBe('blue sky, city');
    expect(rename('city, blue sky, blue_sky, sunset', 'blue_sky', 'blue sky')).toBe('city, blue sky, sunset');
    expect(rename('blue_sky, city, blue sky', 'blue_sky', ' blue sky, ')).toBe('blue sky, city');
    expect(rename('one, $&', 'one', '$&')).toBe('$&');
  });

  test('an added one comes last, unless it is there', () => {
    expect(withTag('city, sunset\n', 'dusk')).toBe('city, sunset, dusk\n');
    expect(withTag('city, ', 'dusk')).toBe('city, dusk');
    expect(withTag(' \n', 'dusk')).toBe('dusk');
    expect(withTag('city, dusk', ' dusk,')).toBe('city, dusk');
    expect(withTag('red wagon', 'red')).toBe('red wagon, red');
    expect(withTag('city', ' , ')).toBe('city');
  });
});

test('sentences are told from lists of tags', () => {
  for (const text of [
    'A dog runs over the field, chasing a ball.',
    'a photo of a red wagon in the snow',
    'sks. The wagon stands still.',
    '一只猫坐在红色的椅子上。',
  ])
    expect(isSentence(text), text).toBe(true);
  for (const text of [
    'red wagon',
    'blue sky, city, sunset',
    '1girl, looking at viewer, st. louis',
    'a wagon at dusk',
    '',
    'sks',
  ])
    expect(isSentence(text), text).toBe(false);
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
