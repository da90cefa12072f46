import { expect, test } from 'vitest';
import { gifFramesOf } from '../../../web/fitness/fixes/convert-image.js';
import * as media from '../../fixtures/media.js';

test('a GIF is known to be cut short at any byte, and its pictures are counted', async () => {
  expect(gifFramesOf(await media.gif())).toBe(1);
  const whole = await media.animated('gif', { width: 8, height: 8 });
  expect(gifFramesOf(whole)).toBe(2);
  for (let length = 0; length < whole.length; length++) {
    expect([length, gifFramesOf(whole.subarray(0, length))]).toEqual([length, undefined]);
  }
});
