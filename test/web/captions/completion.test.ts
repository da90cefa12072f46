import { expect, test } from 'vitest';
import { completionsOf, typedTagAt, withCompletion } from '../../../web/captions/editing/use-completion.js';
import { foldCase } from '../../../web/ui/format.js';

const TAGS = ['snow', 'Snowy roof', 'red wagon', 'night snow', 'snowfall', 'snowman'].map((term) => ({
  term,
  folded: foldCase(term),
}));

/** The text without the mark, and the caret in its place. */
function at(marked: string): [text: string, caret: number] {
  return [marked.replace('|', ''), marked.indexOf('|')];
}

test.each([
  ['a wagon, sn|', 'sn'],
  ['sn|, a wagon', 'sn'],
  ['one\nsn|', 'sn'],
  ['猫，sno|', 'sno'],
  // Too little, or within a tag.
  ['a wagon, s|', undefined],
  ['sn|ow', undefined],
  ['snow, |', undefined],
])('the tag that is typed at the caret of %j is %s', (marked, typed) => {
  expect(typedTagAt(...at(marked))?.typed).toBe(typed);
});

test('tags that contain it are offered in their order, without those of the text', () => {
  expect(completionsOf(...at('SNO|'), TAGS)).toEqual(['snow', 'Snowy roof', 'night snow', 'snowfall']);
  expect(completionsOf(...at('snow, sno|'), TAGS)).toEqual(['Snowy roof', 'night snow', 'snowfall', 'snowman']);
  expect(completionsOf(...at('snow|'), TAGS)).not.toContain('snow');
  expect(completionsOf(...at('xy|'), TAGS)).toEqual([]);
});

test('a tag takes the place of what is typed', () => {
  expect(withCompletion(...at('night,  sno|, dusk'), 'Snowy roof')).toEqual({
    text: 'night,  Snowy roof, dusk',
    caret: 'night,  Snowy roof'.length,
  });
});
