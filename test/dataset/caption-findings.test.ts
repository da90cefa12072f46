import { expect, test } from 'vitest';
import { type CaptionFinding, captionFindings } from '../../src/dataset/caption-findings.js';

const captions = (...texts: readonly string[]) => texts.map((text, i) => ({ filename: `${i + 1}.txt`, text }));
const shown = ({ code, what, filenames }: CaptionFinding) =>
  `${code} ${what}: ${filenames.map((name) => name.replace('.txt', '')).join()}`;
const found = (...texts: readonly string[]) => captionFindings(captions(...texts)).map(shown);

/** Captions that have only their trigger in common. */
const GOOD = ['sks, a wagon at dusk', 'sks, two rails in snow', 'sks, a red engine', 'sks, the yard', 'sks, steam'];

test('there is no finding about captions that differ in all but the trigger, in another language, or blank', () => {
  expect(found(...GOOD)).toEqual([]);
  expect(found('', ' \n', '')).toEqual([]);
  expect(found('猫が座っている', '犬が走っている', '鳥が飛んでいる', '馬が立っている', '魚が泳いでいる')).toEqual([]);
});

test('a finding names those that have the trigger alone', () => {
  expect(found(...GOOD, 'sks', 'Sks,\n')).toEqual(['ONLY_TRIGGER sks: 6,7']);
  expect(found('sks', 'sks', 'sks', 'sks', 'sks')).toEqual(['ONLY_TRIGGER sks: 1,2,3,4,5']);
  expect(captionFindings(captions(...GOOD, 'sks'))[0]?.message).toBe(
    '1 caption has only “sks”, so nothing in the picture is described: 6.txt.',
  );
});

test('a finding names refusals, with any apostrophe, which are not also the same', () => {
  expect(found("I'm sorry, but I can't help with that.", 'I’m sorry, but I can’t help with that.', 'As an AI')).toEqual(
    ['REFUSAL : 1,2,3'],
  );
  expect(found('a sign that says “I’m sorry”')).toEqual([]);
});

test('a finding names those that have the same text', () => {
  expect(found('a red wagon', ' a red wagon\n', 'a blue wagon', 'two', 'two')).toEqual(['SAME_CAPTION : 1,2,4,5']);
});

test('a finding names a tag that more than 80 % have, wherever it stands', () => {
  const tagged = GOOD.map((text, i) => (i === 0 ? `sks, Masterpiece, ${text.slice(5)}` : `${text}, masterpiece`));
  expect(found(...tagged)).toEqual(['REPEATED_TAG masterpiece: 1,2,3,4,5']);
  // 4 of 5 are not more than 80 %.
  expect(found(...tagged.slice(1), 'sks, fog')).toEqual([]);
});

test('a finding names the words of a model that every caption begins with, as one', () => {
  const texts = ['a red wagon', 'an engine in the rain', 'two rails', 'three people', 'a yard'].map(
    (text) => `The image shows a photograph of ${text} near the station.`,
  );
  expect(found(...texts)).toEqual([
    'REPEATED_WORDS the image shows a photograph of: 1,2,3,4,5',
    'REPEATED_WORDS near the station: 1,2,3,4,5',
  ]);
  expect(captionFindings(captions(...texts))[0]?.message).toContain('is in 100 % of all');
});

test('a finding names those that are longer than an encoder reads', () => {
  const words = (count: number) =>
    Array.from({ length: count }, (_, i) => `w${i}`.replaceAll(/\d/g, (d) => 'abcdefghij'[Number(d)]!));
  expect(found(words(75).join(' '), words(76).join(' '))).toEqual(['LONG_CAPTION 75: 2']);
  expect(found(words(513).join(' '))).toEqual(['LONG_CAPTION 75: 1', 'LONG_CAPTION 512: 1']);
});
