import { chmod, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ffmpegChoiceOf, ffmpegSentence, findFfmpeg } from '../../../../src/service/inspection/clip/ffmpeg.js';
import { temporaryFolder } from '../../../harness/server.js';

let folder: string;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A program in a folder of its own, with an ffprobe beside it, which answers `-version` with this text. */
async function program(text: string, name = 'ffmpeg'): Promise<{ path: string; searchPath: string }> {
  const searchPath = join(folder, `${text.replaceAll(/\W/g, '')}-${name}`);
  await mkdir(searchPath);
  const path = join(searchPath, name);
  for (const each of [path, join(searchPath, name.replace('ffmpeg', 'ffprobe'))]) {
    await writeFile(each, `#!/bin/sh\necho '${text}'\n`);
    await chmod(each, 0o755);
  }
  return { path, searchPath };
}

const VERSION = 'ffmpeg version 7.1.5-0+deb13u1 Copyright (c) 2000-2026 the FFmpeg developers';

describe('findFfmpeg', () => {
  test('finds the first ffmpeg on the PATH, and its version', async () => {
    const { path, searchPath } = await program(VERSION);
    const choice = ffmpegChoiceOf(undefined, `${join(folder, 'missing')}:relative:${searchPath}`);
    expect(await findFfmpeg(choice)).toEqual({ path, version: '7.1.5-0+deb13u1' });
  });

  test('finds a named one, by path or on the PATH, also one of the source repository', async () => {
    const { path, searchPath } = await program('ffmpeg version n8.0', 'ffmpeg8');
    expect(await findFfmpeg(ffmpegChoiceOf(path))).toEqual({ path, version: 'n8.0' });
    expect(await findFfmpeg(ffmpegChoiceOf('ffmpeg8', searchPath))).toEqual({ path, version: 'n8.0' });
    const built = await program('ffmpeg version N-119000-g1234abcd');
    expect(await findFfmpeg(ffmpegChoiceOf(built.path))).toMatchObject({ version: 'N-119000-g1234abcd' });
  });

  test.each([
    ['is missing', async () => join(folder, 'nothing'), 'there is no such program'],
    ['is a folder', async () => folder, 'there is no such program'],
    ['is not ffmpeg', async () => (await program('hello')).path, 'it is not ffmpeg'],
    [
      'is too old',
      async () => (await program('ffmpeg version 4.3.9')).path,
      'its version is 4.3.9, and 4.4 or later is needed',
    ],
    ['has no ffprobe', async () => (await program(VERSION, 'alone')).path, 'there is no ffprobe beside it'],
    ['fails', async () => (await program("'; exit 3; echo '")).path, 'it does not run'],
  ])('an ffmpeg that a setting names and that %s is a start error', async (_, pathOf, reason) => {
    const path = await pathOf();
    const message = `can't use the ffmpeg at ${path}: ${reason}. Correct --ffmpeg (TRAINYARD_FFMPEG), or set it to none.`;
    await expect(findFfmpeg(ffmpegChoiceOf(path))).rejects.toMatchObject({ message, isTemporary: false });
  });

  test('without one on the PATH, or turned off, there is none', async () => {
    const { searchPath } = await program('ffmpeg version 3.2');
    expect(await findFfmpeg(ffmpegChoiceOf(undefined, searchPath))).toBeUndefined();
    expect(await findFfmpeg(ffmpegChoiceOf(undefined, undefined))).toBeUndefined();
    expect(await findFfmpeg(ffmpegChoiceOf('none', process.env.PATH))).toBeUndefined();
  });
});

test('a missing one is said, with how to get it', () => {
  const sentence = ffmpegSentence(undefined, ffmpegChoiceOf(undefined, ''));
  expect(sentence).toMatch(/no ffmpeg found: .* NOT_FULLY_CHECKED; .*apt install ffmpeg/);
});
