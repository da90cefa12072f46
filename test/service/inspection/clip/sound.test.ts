import { execFile } from 'node:child_process';
import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { inspect } from '../../../../src/dataset/inspect/inspect.js';
import type { Sound } from '../../../../src/dataset/inspect/inspection.js';
import { clipDecoder } from '../../../../src/service/inspection/clip/decode-clip.js';
import { type Ffmpeg, ffmpegChoiceOf, findFfmpeg } from '../../../../src/service/inspection/clip/ffmpeg.js';
import { whyNoFfmpeg } from '../../../harness/available.js';
import { temporaryFolder } from '../../../harness/server.js';

const why = whyNoFfmpeg();

/** A second of eight frames, with the sound that the arguments make of a tone. */
const CLIPS: Record<string, { seconds?: number; args: readonly string[]; sound: Sound | undefined }> = {
  'none.mp4': { args: ['-an'], sound: undefined },
  'longer.mp4': {
    seconds: 3,
    args: ['-c:a', 'aac', '-ar', '22050', '-ac', '1'],
    sound: { codec: 'aac', sampleRate: 22050, channels: 1, durationSeconds: 3 },
  },
  'shorter.mov': {
    seconds: 0.25,
    args: ['-c:a', 'aac', '-ar', '44100', '-ac', '2'],
    sound: { codec: 'aac', sampleRate: 44100, channels: 2, durationSeconds: 0.25 },
  },
  'longer.mkv': {
    seconds: 3,
    args: ['-c:a', 'libopus', '-ac', '2'],
    sound: { codec: 'opus', sampleRate: 48000, channels: 2, durationSeconds: 3 },
  },
  'six.mkv': {
    args: ['-c:a', 'flac', '-ar', '96000', '-ac', '6'],
    sound: { codec: 'flac', sampleRate: 96000, channels: 6, durationSeconds: 1 },
  },
};

describe.skipIf(why)(`the sound of a clip${why === undefined ? '' : ` (left out: ${why})`}`, () => {
  let folder: string;
  let ffmpeg: Ffmpeg;
  beforeAll(async () => {
    folder = await temporaryFolder();
    ffmpeg = (await findFfmpeg(ffmpegChoiceOf(undefined, process.env.PATH))) as Ffmpeg;
    for (const [name, { seconds = 1, args }] of Object.entries(CLIPS)) {
      const picture = ['-f', 'lavfi', '-i', 'testsrc=s=64x48:r=8:d=1'];
      const tone = ['-f', 'lavfi', '-i', `sine=d=${seconds}`];
      const codec = ['-c:v', 'libx264', '-pix_fmt', 'yuv420p'];
      await promisify(execFile)('ffmpeg', ['-v', 'error', ...picture, ...tone, ...codec, ...args, join(folder, name)]);
    }
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test.each(Object.entries(CLIPS))('%s: ffprobe and the library find the same facts', async (filename, { sound }) => {
    const path = join(folder, filename);
    const inspection = await inspect({ path, filename });
    if (!inspection.ok || inspection.facts.kind !== 'video') throw new Error(`${filename} was rejected.`);
    const { sound: readByLibrary, ...facts } = inspection.facts;
    const decode = clipDecoder(ffmpeg, { runInSlot: (request, work) => work(request.signal) });
    const clip = { path, filename, sizeBytes: (await stat(path)).size, inspection: { ...inspection, facts } };
    const decoded = await decode(clip, { accountId: 'a', signal: new AbortController().signal });
    const { durationSeconds = 0, ...others } = sound ?? {};
    // Encoders add up to two packets of silence.
    const expected = sound && { ...others, durationSeconds: expect.closeTo(durationSeconds, 0.5) };
    expect(readByLibrary).toEqual(expected);
    const found = { frames: 8, hasAudio: sound !== undefined, durationSeconds: expect.closeTo(1, 1) };
    expect(decoded).toMatchObject({ ok: true, facts: found });
    expect(decoded.ok && decoded.facts.kind === 'video' && decoded.facts.sound).toEqual(expected);
  });
});
