import { describe, expect, test } from 'vitest';
import { inspect } from '../../../../src/dataset/inspect/inspect.js';
import * as media from '../../../fixtures/media.js';
import { codesOf, inspectBytes } from '../../../harness/inspecting.js';

/** Each clip has this warning, as none of its frames is decoded here. */
const NOT_DECODED = [{ code: 'NOT_FULLY_CHECKED' }];

describe('the facts of a clip where there is no ffmpeg', () => {
  const landscape = { kind: 'video', width: 160, height: 120, frames: 15 } as const;
  test.each([
    ['faststart.mp4', 'video/mp4', { ...landscape, format: 'mp4', codec: 'avc', hasAudio: true }],
    ['fragmented.mp4', 'video/mp4', { ...landscape, format: 'mp4', codec: 'avc', hasAudio: true }],
    ['hevc.mp4', 'video/mp4', { ...landscape, format: 'mp4', codec: 'hevc' }],
    ['av1.mp4', 'video/mp4', { ...landscape, format: 'mp4', codec: 'av1' }],
    ['upright.mp4', 'video/mp4', { ...landscape, width: 120, height: 160, format: 'mp4', codec: 'avc' }],
    ['quicktime.mov', 'video/quicktime', { ...landscape, format: 'mov', codec: 'avc', hasAudio: true }],
    ['vp9.webm', 'video/webm', { ...landscape, format: 'webm', codec: 'vp9', hasAudio: true }],
    ['vp8.webm', 'video/webm', { ...landscape, format: 'webm', codec: 'vp8', hasAudio: false }],
    ['live.webm', 'video/webm', { ...landscape, format: 'webm', codec: 'vp8' }],
    ['matroska.mkv', 'video/matroska', { ...landscape, format: 'mkv', codec: 'avc', hasAudio: true }],
  ] as const)('%s', async (name, contentType, facts) => {
    const found = await inspect({ path: media.clipPath(name), filename: name });
    expect(found).toMatchObject({ ok: true, contentType, warnings: NOT_DECODED });
    const times = { framesPerSecond: expect.closeTo(15, 0), durationSeconds: expect.closeTo(1, 0) };
    expect(found).toMatchObject({ facts: { ...facts, ...times } });
  });

  test.each([
    ['old.avi', 'video/x-msvideo', 'avi'],
    ['windows.wmv', 'video/x-ms-wmv', 'wmv'],
    ['flash.flv', 'video/x-flv', 'flv'],
  ] as const)('%s has its container alone', async (name, contentType, format) => {
    const found = await inspect({ path: media.clipPath(name), filename: name });
    expect(found).toEqual({
      ok: true,
      contentType,
      facts: { kind: 'video', format },
      warnings: [expect.objectContaining({ code: 'NOT_FULLY_CHECKED' })],
    });
  });

  test.each(['sound.mp4', 'sound.mkv'] as const)('%s, which has sound alone, is rejected', async (name) => {
    const message = `${name} has no video track, so there is nothing to train on. Upload a file that has one.`;
    expect(await inspect({ path: media.clipPath(name), filename: name })).toMatchObject({
      ok: false,
      problem: { code: 'NOT_A_VIDEO', message },
    });
  });
});

test.each([
  ['a.mov', 'faststart.mp4', 'video/mp4'],
  ['a.mp4', 'quicktime.mov', 'video/quicktime'],
  ['a.mp4', 'vp8.webm', 'video/webm'],
  ['a.mkv', 'vp8.webm', 'video/webm'],
  ['a.avi', 'faststart.mp4', 'video/mp4'],
] as const)('%s, which is the container of %s, is accepted with a warning', async (filename, name, contentType) => {
  const found = await inspectBytes(filename, media.clip(name));
  expect(codesOf(found)).toEqual(['CONTENT_DIFFERS', 'NOT_FULLY_CHECKED']);
  expect(found).toMatchObject({ contentType });
});

test('M4V and MP4 are one container, and QuickTime files may lack their first box', async () => {
  expect(codesOf(await inspectBytes('a.m4v', media.clip('faststart.mp4')))).toEqual(['NOT_FULLY_CHECKED']);
  expect(codesOf(await inspectBytes('a.mp4', media.clip('camera.m4v')))).toEqual(['NOT_FULLY_CHECKED']);
  const bytes = media.clip('quicktime.mov');
  bytes.write('wide', 4, 'latin1');
  expect(await inspectBytes('a.mov', bytes)).toMatchObject({ ok: true, facts: { format: 'mov' } });
});

describe('a file that is shorter than its headers say', () => {
  const SIZED = ['faststart.mp4', 'moov-last.mp4', 'quicktime.mov', 'vp9.webm', 'matroska.mkv', 'old.avi'] as const;
  test.each(SIZED)('is rejected: %s', async (name) => {
    const bytes = media.clip(name);
    for (const missing of [1, 9, bytes.length >> 2, bytes.length >> 1]) {
      const found = await inspectBytes(name, bytes.subarray(0, bytes.length - missing));
      const message = expect.stringMatching(
        / is truncated: at least [\d,]+ bytes? (is|are) missing at its end\. Upload/,
      );
      expect(found, `${missing}`).toMatchObject({ ok: false, problem: { code: 'VIDEO_CORRUPT', message } });
    }
  });

  test('is not one that a camera or a live recorder has written', async () => {
    const trailer = Buffer.from('8db42d694ccc418790edff439fe026bf', 'hex');
    expect((await inspectBytes('a.mp4', Buffer.concat([media.clip('faststart.mp4'), trailer]))).ok).toBe(true);
    const live = media.clip('live.webm');
    expect((await inspectBytes('a.webm', live.subarray(0, live.length >> 1))).ok).toBe(true);
    const avi = media.clip('old.avi');
    avi.writeUInt32LE(0xffffffff, 4);
    expect((await inspectBytes('a.avi', avi.subarray(0, avi.length >> 1))).ok).toBe(true);
  });
});
