import { describe, expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { gifFramesOf } from '../../../web/fitness/fixes/convert/convert-image.js';

describe('gifFramesOf', () => {
  test('counts the pictures of a GIF', async () => {
    expect(gifFramesOf(await media.gif())).toBe(1);
    expect(gifFramesOf(await media.animated('gif'))).toBe(2);
  });

  test('finds that a GIF is cut short at any byte', async () => {
    const whole = await media.animated('gif', { width: 8, height: 8 });
    for (let length = 0; length < whole.length; length++) {
      expect([length, gifFramesOf(whole.subarray(0, length))]).toEqual([length, undefined]);
    }
  });
});
