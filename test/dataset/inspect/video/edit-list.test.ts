import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { inspect } from '../../../../src/dataset/inspect/inspect.js';
import { clip } from '../../../fixtures/media.js';
import { whyNoFfmpeg } from '../../../harness/available.js';
import { temporaryFolder } from '../../../harness/server.js';

const ffmpeg = (...args: string[]) => execFileSync('ffmpeg', ['-v', 'error', '-nostdin', '-y', ...args]);

/** The frames that ffmpeg shows of a clip, and those that are in it. */
const framesOf = (path: string, ...options: string[]) =>
  Number(
    /^frame=(\d+)$/m.exec(
      ffmpeg(...options, '-i', path, '-an', '-fps_mode', 'passthrough', '-f', 'null', '-progress', '-', '-')
        .toString()
        .split('progress=')
        .at(-2) ?? '',
    )?.[1],
  );

/** What is said of the frames of an accepted clip. */
async function doubtsAbout(path: string): Promise<string[]> {
  const found = await inspect({ path, filename: 'a.mp4' });
  if (!found.ok) throw new Error(found.problem.message);
  return found.warnings.filter(({ code }) => code === 'WRONG_DURATION').map(({ message }) => message);
}

test('the edit list of the sound does not matter', async () => {
  const folder = await temporaryFolder();
  const bytes = Buffer.from(clip('faststart.mp4'));
  const list = bytes.lastIndexOf('elst');
  expect(list).toBeGreaterThan(bytes.indexOf('vmhd'));
  bytes.writeUInt32BE(500, list - 4);
  writeFileSync(join(folder, 'sound.mp4'), bytes);
  expect(await doubtsAbout(join(folder, 'sound.mp4'))).toEqual([]);
});

describe.skipIf(whyNoFfmpeg() !== undefined)('the edit list of a clip', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await temporaryFolder();
    const source = ['-f', 'lavfi', '-i', 'testsrc=size=96x64:rate=20:duration=2', '-pix_fmt', 'yuv420p'];
    for (const [name, options] of Object.entries({ plain: '-bf 0', reordered: '-bf 2', mpeg4: '-c:v mpeg4 -bf 2' })) {
      ffmpeg(...source, '-g', '12', ...options.split(' '), join(folder, `${name}.mp4`));
    }
  });

  test.each([
    ['plain', 0.3],
    ['plain', 0.45],
    ['reordered', 0.3],
    ['reordered', 0.9],
    ['mpeg4', 0.3],
  ])('of a part that was copied from %s at %s s hides as many frames as ffmpeg leaves out', async (name, start) => {
    const path = join(folder, `${name}-${start}.mp4`);
    ffmpeg('-ss', String(start), '-i', join(folder, `${name}.mp4`), '-c', 'copy', path);
    const [all, shown] = [framesOf(path, '-ignore_editlist', '1'), framesOf(path)];
    expect(all - shown).toBeGreaterThan(1);
    expect(await doubtsAbout(path)).toEqual([
      `a.mp4 has ${all} frames, of which its edit list hides ${all - shown}, as after trimming. The trainer counts these, and would repeat the last frame in their place. Export it again, or convert it with ffmpeg, without "-c copy".`,
    ]);
  });

  test.each(['plain', 'reordered', 'mpeg4'])('of %s, which was not cut, hides none', async (name) => {
    expect(await doubtsAbout(join(folder, `${name}.mp4`))).toEqual([]);
  });

  test('is not judged if it is damaged, or has several parts', async () => {
    ffmpeg('-ss', '0.3', '-i', join(folder, 'plain.mp4'), '-c', 'copy', join(folder, 'cut.mp4'));
    const bytes = readFileSync(join(folder, 'cut.mp4'));
    const list = bytes.indexOf('elst') + 4;
    for (const count of [0, 2, 2 ** 32 - 1]) {
      const changed = Buffer.from(bytes);
      changed.writeUInt32BE(count, list + 4);
      writeFileSync(join(folder, 'changed.mp4'), changed);
      expect(await doubtsAbout(join(folder, 'changed.mp4'))).toEqual([]);
    }
  });
});
