import { execFile } from 'node:child_process';
import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { inspect } from '../../../../src/dataset/inspect/inspect.js';
import type { Facts, Inspection } from '../../../../src/dataset/inspect/inspection.js';
import { clipDecoder } from '../../../../src/service/inspection/clip/decode-clip.js';
import { type Ffmpeg, ffmpegChoiceOf, findFfmpeg } from '../../../../src/service/inspection/clip/ffmpeg.js';
import type { InspectionPool } from '../../../../src/service/inspection/inspection-pool.js';
import { CpuBudgetSpent } from '../../../../src/service/inspection/limited-process.js';
import { ENCODED_CLIPS, type EncodedClip, encodeClips } from '../../../fixtures/encoded-clips.js';
import * as media from '../../../fixtures/media.js';
import { IS_ALL, whyNoFfmpeg } from '../../../harness/available.js';
import { startReceiver } from '../../../harness/receiver.js';
import { eventually, temporaryFolder } from '../../../harness/server.js';

const why = whyNoFfmpeg();
const some = <Row>(rows: readonly Row[]) => rows.filter((_, i) => IS_ALL || i % 2 === 0);

/** Those of which OpenCV 4.10 counts at least two frames more than it reads. */
const MISCOUNTED: ReadonlySet<EncodedClip> = new Set([
  'h264-variable.mkv',
  'h264.flv',
  'late.mkv',
  'cut.mp4',
  'cut-hevc.mp4',
] as const);

const COMMON_FACTS = { kind: 'video', width: 96, height: 64, durationSeconds: 1, framesPerSecond: 24, hasAudio: false };
const FACTS: Partial<Record<EncodedClip, object>> = {
  'h264-sound.mp4': {
    codec: 'avc',
    hasAudio: true,
    sound: { codec: 'aac', sampleRate: 44_100, channels: 1, durationSeconds: expect.closeTo(1, 0.5) },
  },
  'rotated.mp4': { codec: 'avc', width: 64, height: 96 },
  'hevc.mp4': { codec: 'hevc' },
  'av1.mp4': { codec: 'av1' },
  'vp9.mp4': { codec: 'vp9' },
  'vp8.webm': { format: 'webm', codec: 'vp8' },
  'ffv1.mkv': { format: 'mkv', codec: 'ffv1' },
  'prores-alpha.mov': { format: 'mov', codec: 'prores' },
  'mpeg4.avi': { format: 'avi', codec: 'mpeg4' },
  'windows.wmv': { format: 'wmv', codec: 'wmv2' },
  'flash.flv': { format: 'flv', codec: 'flv1' },
};

describe.skipIf(why)(`decoding a clip${why === undefined ? '' : ` (left out: ${why})`}`, () => {
  let folder: string;
  let ffmpeg: Ffmpeg;
  let clips: Record<EncodedClip, string>;
  beforeAll(async () => {
    folder = await temporaryFolder();
    ffmpeg = (await findFfmpeg(ffmpegChoiceOf(undefined, process.env.PATH))) as Ffmpeg;
    clips = await encodeClips(folder);
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  const decodeInspected = async (
    clip: { path: string; filename: string; inspection: Inspection & { ok: true } },
    options: { maxSeconds?: number } = {},
  ): Promise<Inspection> => {
    const decode = clipDecoder(ffmpeg, { runInSlot: (request, work) => work(request.signal) });
    const { signal } = new AbortController();
    return decode({ ...clip, sizeBytes: (await stat(clip.path)).size }, { accountId: 'a', signal, ...options });
  };
  const inspectAndDecode = async (path: string, filename: string): Promise<Inspection> => {
    const inspection = await inspect({ path, filename });
    return inspection.ok ? decodeInspected({ path, filename, inspection }) : inspection;
  };
  const written = async (name: string, bytes: Buffer): Promise<string> => {
    const path = join(folder, name);
    await writeFile(path, bytes);
    return path;
  };
  /** What is known of the bytes before they are decoded. */
  const claimed = (facts: Partial<Facts & { kind: 'video' }> = {}) =>
    ({ ok: true, contentType: 'video/mp4', facts: { kind: 'video', format: 'mp4', ...facts }, warnings: [] }) as const;

  test.each(some(Object.entries(ENCODED_CLIPS) as [EncodedClip, number][]))(
    '%s is intact, and has its facts and %i frames',
    async (name, frames) => {
      const warnings = MISCOUNTED.has(name) ? [{ code: 'WRONG_DURATION' }] : [];
      const facts = name in FACTS ? { ...COMMON_FACTS, ...FACTS[name] } : {};
      const found = await inspectAndDecode(clips[name], name);
      expect(found).toMatchObject({ ok: true, facts: { ...facts, frames }, warnings });
    },
  );

  describe('damage', () => {
    // These codecs notice changed bytes. The arithmetic codes of VP8, VP9 and AV1 accept any, except in headers.
    test.each(some(['h264.mp4', 'hevc.mp4', 'ffv1.mkv', 'mpeg4.avi', 'mjpeg.mov', 'vp9.mp4', 'av1.mp4'] as const))(
      'random bytes in the samples of %s are found',
      async (name) => {
        const random = generator(7);
        const bytes = await readFile(clips[name]);
        const start = middleOf(bytes);
        const end = ['vp9.mp4', 'av1.mp4'].includes(name) ? bytes.indexOf('moov') - 4 : start + 400;
        for (let at = start; at < end; at++) bytes[at] = random();
        const inspection = await inspectAndDecode(await written(`random-${name}`, bytes), name);
        expect(inspection).toMatchObject({ ok: false, problem: { code: 'VIDEO_CORRUPT' } });
      },
    );

    const UPLOAD = 'Upload an intact copy.';
    test.each<[string, () => Promise<Buffer>, string | RegExp]>([
      [
        'lost.mov',
        async () => {
          const bytes = await readFile(clips['mjpeg.mov']);
          return bytes.fill(0, middleOf(bytes), middleOf(bytes) + 100);
        },
        `lost.mov is damaged: only 23 of its 24 frames can be decoded. ${UPLOAD}`,
      ],
      [
        // The decoder skips the frames up to the next key frame silently.
        'no-key-frame.mp4',
        async () => {
          const bytes = Buffer.from(media.clip('upright.mp4'));
          // The message of x264, which precedes the picture in the first frame, becomes a slice of another picture.
          bytes[bytes.indexOf(Buffer.of(0x06, 0x05, 0xff))] = 0x01;
          return bytes;
        },
        /7 of its 15 frames/,
      ],
      [
        'headless.mp4',
        async () => {
          const bytes = await readFile(clips['h264.mp4']);
          return bytes.subarray(0, bytes.indexOf('moov') - 4);
        },
        `headless.mp4 is truncated: its "moov" box, which describes the video and is often the last one, is missing. ${UPLOAD}`,
      ],
      [
        // The trainer leaves it out.
        'unknown-codec.avi',
        async () => {
          const text = (await readFile(clips['mpeg4.avi'])).toString('latin1');
          return Buffer.from(text.replaceAll('FMP4', 'QQQ1'), 'latin1');
        },
        'unknown-codec.avi has a codec that ffmpeg does not know. It may be damaged: export it again, as H.264 in an MP4 file.',
      ],
    ])('%s is rejected with the reason', async (name, bytesOf, expected) => {
      const inspection = await inspectAndDecode(await written(name, await bytesOf()), name);
      const message = typeof expected === 'string' ? expected : expect.stringMatching(expected);
      expect(inspection).toMatchObject({ ok: false, problem: { code: 'VIDEO_CORRUPT', message } });
    });

    const MODERN = ['faststart.mp4', 'fragmented.mp4', 'vp9.webm', 'live.webm', 'matroska.mkv'] as const;
    const OLD = ['old.avi', 'windows.wmv', 'flash.flv'] as const;
    test.each(some([...MODERN, ...OLD]))('%s, cut in the middle, is found', async (name) => {
      const bytes = media.clip(name);
      const cut = await written(`cut-${name}`, bytes.subarray(0, bytes.length / 2));
      expect((await inspectAndDecode(cut, name)).ok).toBe(false);
    });
  });

  test('a codec that ffmpeg knows and can not decode is no damage: the warning stays and says so', async () => {
    // EVC, for which ffmpeg has no decoder of its own.
    const bytes = (await readFile(clips['h264.mp4'])).toString('latin1').replaceAll('avc1', 'evc1');
    const path = await written('known.mp4', Buffer.from(bytes, 'latin1'));
    const inspection = await decodeInspected({ path, filename: 'a.mp4', inspection: claimed() });
    expect(inspection).toMatchObject({ ok: true, warnings: [{ code: 'NOT_FULLY_CHECKED' }] });
    expect(inspection.ok && inspection.warnings[0]?.message).toContain('has no decoder for their codec, evc');
  });

  const encoded = async (...args: string[]) => {
    const path = join(folder, 'sound.avi');
    await promisify(execFile)('ffmpeg', ['-y', '-v', 'error', '-i', clips['h264-sound.mp4'], ...args, path]);
    return path;
  };

  test('damaged sound is no damage, since trainers read the pictures', async () => {
    const bytes = await readFile(await encoded('-c:v', 'mpeg4', '-c:a', 'mp3'));
    const end = bytes.lastIndexOf('idx1');
    for (let at = bytes.indexOf('01wb'); at < end; at = bytes.indexOf('01wb', at + 4))
      bytes.fill(0x55, at + 8, at + 8 + bytes.readUInt32LE(at + 4));
    const found = await inspectAndDecode(await written('noise.avi', bytes), 'a.avi');
    expect(found).toMatchObject({ ok: true, facts: { frames: 24, hasAudio: true } });
  });

  test('sound without a video track is no clip', async () => {
    const path = await encoded('-vn', '-c:a', 'pcm_s16le');
    const message = 'a.avi has no video track, so there is nothing to train on. Upload a file that has one.';
    expect(await inspectAndDecode(path, 'a.avi')).toMatchObject({
      ok: false,
      problem: { code: 'NOT_A_VIDEO', message },
    });
  });

  test('what would exceed the time for which a client waits is not begun', async () => {
    const clip = { path: clips['h264.mp4'], filename: 'a.mp4', inspection: claimed() };
    await expect(decodeInspected(clip, { maxSeconds: 0.01 })).rejects.toThrow(CpuBudgetSpent);
    expect(await decodeInspected(clip, { maxSeconds: 100 })).toMatchObject({ ok: true });
  });

  test('a file that is gone is no damage', async () => {
    const clip = { path: join(folder, 'gone.mp4'), filename: 'a.mp4', sizeBytes: 1, inspection: claimed() };
    const decode = clipDecoder(ffmpeg, { runInSlot: (request, work) => work(request.signal) });
    await expect(decode(clip, { accountId: 'a', signal: never() })).rejects.toMatchObject({ code: 'ENOENT' });
  });

  describe('limits', () => {
    const hadMuchMemory: boolean[] = [];
    /** Decodes with another program in the place of ffprobe. */
    const decodeWith = async (script: string, signal: AbortSignal, options: { maxSeconds?: number } = {}) => {
      const programs = join(folder, `programs-${script.length}`);
      await mkdir(programs, { recursive: true });
      if (script !== '') await writeFile(join(programs, 'ffprobe'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
      const runInSlot: InspectionPool['runInSlot'] = ({ needsMuchMemory, signal }, work) => {
        hadMuchMemory.push(needsMuchMemory === true);
        return work(signal);
      };
      const ffmpeg = { path: join(programs, 'ffmpeg'), version: '7' };
      const decode = clipDecoder(ffmpeg, { runInSlot }, 1);
      const clip = { path: clips['h264.mp4'], filename: 'a.mp4', sizeBytes: 0, inspection: claimed() };
      return decode(clip, { accountId: 'a', signal, ...options });
    };
    const FRAMES_NEED_MEMORY = 'case "$*" in *count_*) echo "[error] bad_alloc" >&2; exit 1;; esac; echo "{}"';

    test.each([
      ['uses more than its processor time', 'while :; do :; done', 'takes more than 1 s'],
      ['crashes', 'kill -SEGV $$', 'crashes its decoder'],
      ['needs much memory for small frames', FRAMES_NEED_MEMORY, 'needs more than 220 MB of memory'],
    ])('a decoder that %s costs its clip', async (_, script, reason) => {
      const problem = { code: 'INSPECTION_FAILED', message: expect.stringContaining(reason) };
      expect(await decodeWith(script, never())).toMatchObject({ ok: false, problem });
    });

    test('a decode that exceeds the time of a client, or needs much memory while it waits, is left to a job', async () => {
      for (const script of ['while :; do :; done', FRAMES_NEED_MEMORY]) {
        await expect(decodeWith(script, never(), { maxSeconds: 0.3 })).rejects.toThrow(CpuBudgetSpent);
      }
      await decodeWith(FRAMES_NEED_MEMORY, never());
      expect(hadMuchMemory.slice(-3)).toEqual([false, true, true]);
    });

    test('a header that claims huge frames costs no memory', async () => {
      const bytes = await readFile(clips['animation.mov']);
      const sampleEntry = bytes.indexOf('rle ', bytes.indexOf('stsd'));
      bytes.writeUInt16BE(12_000, sampleEntry + 28);
      bytes.writeUInt16BE(12_000, sampleEntry + 30);
      const inspection = await inspectAndDecode(await written('huge.mov', bytes), 'a.mov');
      expect(inspection).toMatchObject({ ok: true, warnings: [{ code: 'NOT_FULLY_CHECKED' }] });
    });

    test('an abort ends the decoder at once and rejects with its reason', async () => {
      const abort = new AbortController();
      const pidFile = join(folder, 'pid');
      const decoded = decodeWith(
        `echo $$ >${pidFile}.part && mv ${pidFile}.part ${pidFile}; exec sleep 1000`,
        abort.signal,
      );
      const ended = expect(decoded).rejects.toThrow('the client is gone');
      const pid = Number(await eventually(() => readFile(pidFile, 'utf8').catch(() => undefined)));
      abort.abort(new Error('the client is gone'));
      await ended;
      expect(() => process.kill(pid, 0)).toThrow('ESRCH');
    });

    test('a program that is gone is no fault of the clip', async () => {
      await expect(decodeWith('', never())).rejects.toMatchObject({ code: 'unavailable' });
    });
  });

  test.each([
    ['a playlist', (url: string) => Buffer.from(`#EXTM3U\n#EXTINF:1,\n${url}/a.ts\n#EXT-X-ENDLIST\n`)],
    ['a list of files', (url: string) => Buffer.from(`ffconcat version 1.0\nfile '${url}/a.mp4'\n`)],
    ['a manifest', (url: string) => Buffer.from(`<?xml version="1.0"?><MPD><BaseURL>${url}</BaseURL></MPD>`)],
    ['an SDP description', (url: string) => Buffer.from(`v=0\nm=video 9 ${url} 96\nc=IN IP4 127.0.0.1\n`)],
  ])('%s in the place of a clip makes no connection and is refused', async (_, contentWith) => {
    const { url, connections, close } = await startReceiver();
    const path = await written('disguise.mp4', contentWith(url));
    for (const format of ['mp4', 'mkv', 'wmv']) {
      const inspection = claimed({ format });
      expect(await decodeInspected({ path, filename: 'a.mp4', inspection })).toMatchObject({ ok: false });
    }
    expect(connections()).toBe(0);
    await close();
  });

  test('a reference to samples in another file is not followed', async () => {
    const intact = await readFile(clips['h264.mp4']);
    await written('other.mp4', intact);
    const path = await written('elsewhere.mp4', withDataReference(intact, 'other.mp4'));
    const inspection = await decodeInspected({ path, filename: 'a.mp4', inspection: claimed() });
    expect(inspection).toMatchObject({ ok: false, problem: { code: 'VIDEO_CORRUPT' } });
  });
});

const never = () => new AbortController().signal;

/** A place inside the samples. Those of MP4 are in `mdat`. */
function middleOf(bytes: Buffer): number {
  const mdat = bytes.indexOf('mdat');
  const start = mdat < 0 ? 1000 : mdat;
  const moov = bytes.indexOf('moov', start);
  return Math.floor((start + (moov < 0 ? bytes.length : moov)) / 2);
}

/** Pseudo-random bytes (a linear congruential generator). */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state >>> 24;
  };
}

/**
 * An MP4 file whose header comes last, changed to say that its samples are in another file of the same folder: by an alias of
 * QuickTime, the kind of reference that ffmpeg can follow.
 */
function withDataReference(bytes: Buffer, filename: string): Buffer {
  const at = bytes.indexOf('url ', bytes.indexOf('dref')) - 4;
  const alias = aliasTo(filename);
  const changed = Buffer.concat([bytes.subarray(0, at), alias, bytes.subarray(at + 12)]);
  for (const type of ['moov', 'trak', 'mdia', 'minf', 'dinf', 'dref']) {
    const box = changed.lastIndexOf(type, at) - 4;
    changed.writeUInt32BE(changed.readUInt32BE(box) + alias.length - 12, box);
  }
  return changed;
}

/** A box of version 0, with flags that don't say that the samples are in this file. */
function aliasTo(filename: string): Buffer {
  const alias = Buffer.alloc(150);
  alias.writeUInt8(filename.length, 50);
  alias.write(filename, 51);
  // The levels up from this file and down to the other.
  alias.writeUInt16BE(1, 130);
  alias.writeUInt16BE(1, 132);
  const path = Buffer.from(`/${filename}`.padEnd(2 * Math.ceil((filename.length + 1) / 2), '\0'));
  const field = Buffer.alloc(4);
  field.writeUInt16BE(2, 0);
  field.writeUInt16BE(path.length, 2);
  const box = Buffer.concat([Buffer.alloc(12), alias, field, path, Buffer.from([0xff, 0xff, 0, 0])]);
  box.writeUInt32BE(box.length, 0);
  box.write('alis', 4, 'latin1');
  return box;
}
