import { execFile } from 'node:child_process';
import { copyFile, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { inspect } from '../../../../src/dataset/inspect/inspect.js';
import type { Facts, Inspection } from '../../../../src/dataset/inspect/inspection.js';
import { clipDecoder } from '../../../../src/service/inspection/clip/decode-clip.js';
import { type Ffmpeg, ffmpegChoiceOf, findFfmpeg } from '../../../../src/service/inspection/clip/ffmpeg.js';
import { CpuBudgetSpent } from '../../../../src/service/inspection/limited-process.js';
import { ENCODED_CLIPS, type EncodedClip, encodeClips } from '../../../fixtures/encoded-clips.js';
import * as media from '../../../fixtures/media.js';
import { whyNoFfmpeg } from '../../../harness/available.js';
import { eventually, temporaryFolder } from '../../../harness/server.js';

const why = whyNoFfmpeg();

/** Those of which OpenCV 4.10 counts at least two frames more than it reads. */
const MISCOUNTED: ReadonlySet<EncodedClip> = new Set([
  'h264-variable.mkv',
  'h264.flv',
  'late.mkv',
  'cut.mp4',
  'cut-h264.mp4',
  'cut-hevc.mp4',
] as const);

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
    options: { isBackground?: boolean; maxSeconds?: number } = {},
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

  /** Those whose frames a decoder counts in a way of its own; the facts of one clip of each codec are tested below. */
  const PECULIAR: ReadonlySet<string> = new Set<EncodedClip>([
    ...(['h264-pyramid.mp4', 'h264-open-gop.mp4', 'h264-fragments.mp4', 'h264-1-frame.mp4'] as const),
    ...(['h264-variable.mkv', 'h264.flv', 'vp9-hidden-frames.webm', 'vp8-hidden-frames.webm', 'raw.avi'] as const),
    ...(['mpeg4-b-frames.avi', 'mpeg2-interlaced.mkv', 'cover-first.mp4', 'late.mkv', 'cut.mp4'] as const),
    ...(['cut-h264.mkv', 'cut-hevc.mp4'] as const),
  ]);
  for (const [name, frames] of Object.entries(ENCODED_CLIPS) as [EncodedClip, number][]) {
    const tags = PECULIAR.has(name) ? [] : ['long'];
    test(`${name} is intact, and ${frames} frames are read`, { tags }, async () => {
      const warnings = MISCOUNTED.has(name) ? [{ code: 'WRONG_DURATION' }] : [];
      expect(await inspectAndDecode(clips[name], name)).toMatchObject({ ok: true, facts: { frames }, warnings });
    });
  }

  test.each([
    ['h264-sound.mp4', { codec: 'avc', hasAudio: true }],
    ['rotated.mp4', { codec: 'avc', width: 64, height: 96, hasAudio: false }],
    ['hevc.mp4', { codec: 'hevc' }],
    ['av1.mp4', { codec: 'av1' }],
    ['vp9.mp4', { codec: 'vp9' }],
    ['vp8.webm', { format: 'webm', codec: 'vp8' }],
    ['ffv1.mkv', { format: 'mkv', codec: 'ffv1' }],
    ['prores-alpha.mov', { format: 'mov', codec: 'prores' }],
    ['mpeg4.avi', { format: 'avi', codec: 'mpeg4' }],
    ['windows.wmv', { format: 'wmv', codec: 'wmv2' }],
    ['flash.flv', { format: 'flv', codec: 'flv1' }],
  ] as const)('%s has its facts, decoded at once or after its header was read', async (name, own) => {
    const common = { kind: 'video', width: 96, height: 64, durationSeconds: 1, frames: 24, framesPerSecond: 24 };
    const expected = { ok: true, facts: { ...common, hasAudio: false, ...own }, warnings: [] };
    expect(await inspectAndDecode(clips[name], name)).toMatchObject(expected);
    const inspection = await inspect({ path: clips[name], filename: name });
    if (!inspection.ok) throw new Error(inspection.problem.message);
    const decoded = await decodeInspected({ path: clips[name], filename: name, inspection }, { isBackground: true });
    expect(decoded).toMatchObject(expected);
  });

  test('damage in the sound, or in its description, is none of the pictures', async () => {
    const bytes = await readFile(clips['h264.flv']);
    const at = bytes.indexOf(Buffer.of(0, 0, 9), bytes.indexOf('onMetaData'));
    bytes[at + 2] = 3;
    expect(await inspectAndDecode(await written('gstreamer.flv', bytes), 'a.flv')).toMatchObject({
      ok: true,
      facts: { frames: 24 },
    });
  });

  test('a long comment hides neither the sound nor damage', async () => {
    const path = join(folder, 'comment.mkv');
    const comment = `${'x'.repeat(90_000)}\n`;
    const args = ['-v', 'error', '-i', clips['h264-sound.mp4'], '-c', 'copy', '-metadata', `comment=${comment}`, path];
    await promisify(execFile)('ffmpeg', args);
    expect(await inspectAndDecode(path, 'a.mkv')).toMatchObject({ ok: true, facts: { hasAudio: true, frames: 24 } });
    const bytes = await readFile(path);
    const cluster = bytes.indexOf(Buffer.from('1f43b675', 'hex'));
    bytes.fill(0, cluster + 2000, cluster + 3000);
    expect(await inspectAndDecode(await written('damaged.mkv', bytes), 'a.mkv')).toMatchObject({ ok: false });
  });

  describe('damage', () => {
    // These codecs notice changed bytes. The arithmetic codes of VP8, VP9 and AV1 accept any, except in headers.
    test.each(['h264.mp4', 'hevc.mp4', 'ffv1.mkv', 'mpeg4.avi', 'mjpeg.mov'] as const)(
      'random bytes, and zeros, in the samples of %s are found',
      async (name) => {
        const random = generator(7);
        for (const [kind, byte] of Object.entries({ random, zeros: (): number => 0 })) {
          const bytes = await readFile(clips[name]);
          const at = middleOf(bytes);
          for (let i = 0; i < 400; i++) bytes[at + i] = byte();
          const inspection = await inspectAndDecode(await written(`${kind}-${name}`, bytes), name);
          expect(inspection, kind).toMatchObject({ ok: false, problem: { code: 'VIDEO_CORRUPT' } });
        }
      },
    );

    test.each(['vp9.mp4', 'av1.mp4'] as const)(
      'random bytes in the last half of the samples of %s are found',
      async (name) => {
        const bytes = await readFile(clips[name]);
        const random = generator(7);
        for (let at = middleOf(bytes); at < bytes.indexOf('moov') - 4; at++) bytes[at] = random();
        const inspection = await inspectAndDecode(await written(`random-${name}`, bytes), name);
        expect(inspection).toMatchObject({ ok: false, problem: { code: 'VIDEO_CORRUPT' } });
      },
    );

    test('the message says how many frames are left, and is the same in every run', async () => {
      const bytes = await readFile(clips['mjpeg.mov']);
      const at = middleOf(bytes);
      bytes.fill(0, at, at + 100);
      const path = await written('short.mov', bytes);
      const found = await Promise.all(Array.from({ length: 2 }, () => inspectAndDecode(path, 'a.mov')));
      const messages = found.map((inspection) => !inspection.ok && inspection.problem.message);
      expect(new Set(messages)).toEqual(
        new Set(['a.mov is damaged: only 23 of its 24 frames can be decoded. Upload an intact copy.']),
      );
    });

    test('a damaged key frame at the start is an error, also if the decoder skips the frames up to the next silently', async () => {
      const bytes = await readFile(new URL('../../../fixtures/clips/upright.mp4', import.meta.url));
      // The message of x264, which precedes the picture in the first frame, becomes a slice of another picture.
      bytes[bytes.indexOf(Buffer.of(0x06, 0x05, 0xff))] = 0x01;
      const inspection = await inspectAndDecode(await written('no-key-frame.mp4', bytes), 'a.mp4');
      expect(inspection).toMatchObject({
        ok: false,
        problem: { message: expect.stringContaining('7 of its 15 frames') },
      });
    });

    test('a picture of which the decoder conceals a part, and says so in passing, is damaged', async () => {
      const bytes = await readFile(clips['h264-slices.mov']);
      const at = middleOf(bytes);
      bytes.fill(0xff, at, at + 60);
      const inspection = await inspectAndDecode(await written('concealed.mov', bytes), 'a.mov');
      expect(inspection).toMatchObject({ ok: false, problem: { code: 'VIDEO_CORRUPT' } });
    });

    test('a truncated clip is called so', async () => {
      const mkv = await readFile(clips['ffv1.mkv']);
      // A segment of an unknown size, as of a live recorder.
      const segment = mkv.indexOf(Buffer.from('18538067', 'hex'));
      mkv.fill(0xff, segment + 4, segment + 12);
      mkv[segment + 4] = 0x01;
      const cut = await written('cut.mkv', mkv.subarray(0, mkv.length >> 1));
      const message = expect.stringMatching(/^a\.mkv is truncated: not all of its frames can be decoded\. Upload/);
      expect(await inspectAndDecode(cut, 'a.mkv')).toMatchObject({ ok: false, problem: { message } });
      const mp4 = await readFile(clips['h264.mp4']);
      const headless = await written('headless.mp4', mp4.subarray(0, mp4.indexOf('moov') - 4));
      const text =
        'a.mp4 is truncated: its "moov" box, which describes the video and is often the last one, is missing.';
      expect(await inspectAndDecode(headless, 'a.mp4')).toMatchObject({
        ok: false,
        problem: { message: `${text} Upload an intact copy.` },
      });
    });

    test.each([
      ...(['faststart.mp4', 'fragmented.mp4', 'vp9.webm', 'live.webm', 'matroska.mkv'] as const),
      ...(['old.avi', 'windows.wmv', 'flash.flv'] as const),
    ])('%s, cut in the middle, is found', async (name) => {
      const bytes = media.clip(name);
      const cut = await written(`cut-${name}`, bytes.subarray(0, bytes.length / 2));
      expect((await inspectAndDecode(cut, name)).ok).toBe(false);
    });

    test.each([
      [10, true],
      [22, false],
    ])('an edit list that hides %d of 24 frames is a warning (%s), or lost frames', async (hidden, isAccepted) => {
      const bytes = await readFile(clips['mjpeg.mov']);
      const list = bytes.indexOf('elst') + 4;
      const [media, movie] = ['mdhd', 'mvhd'].map((box) => bytes.readUInt32BE(bytes.indexOf(box) + 16)) as [
        number,
        number,
      ];
      bytes.writeUInt32BE(Math.round(((24 - hidden) / 24) * movie), list + 8);
      bytes.writeUInt32BE(Math.round((hidden / 24) * media), list + 12);
      const inspection = await inspectAndDecode(await written(`hides-${hidden}.mov`, bytes), 'a.mov');
      const message = expect.stringContaining('only 2 of the 24 frames in its header can be read');
      expect(inspection).toMatchObject(
        isAccepted
          ? { ok: true, facts: { frames: 14 }, warnings: [{ code: 'WRONG_DURATION' }] }
          : { ok: false, problem: { code: 'VIDEO_CORRUPT', message } },
      );
    });
  });

  test('a codec that ffmpeg does not know is an error: the trainer leaves the clip out', async () => {
    const bytes = (await readFile(clips['mpeg4.avi'])).toString('latin1').replaceAll('FMP4', 'QQQ1');
    const inspection = await inspectAndDecode(await written('unknown.avi', Buffer.from(bytes, 'latin1')), 'a.avi');
    const message =
      'a.avi has a codec that ffmpeg does not know. It may be damaged: export it again, as H.264 in an MP4 file.';
    expect(inspection).toMatchObject({ ok: false, problem: { code: 'VIDEO_CORRUPT', message } });
  });

  test('a codec that ffmpeg knows and can not decode is no damage: the warning stays and says so', async () => {
    // EVC, for which ffmpeg has no decoder of its own.
    const bytes = (await readFile(clips['h264.mp4'])).toString('latin1').replaceAll('avc1', 'evc1');
    const path = await written('known.mp4', Buffer.from(bytes, 'latin1'));
    const inspection = await decodeInspected({ path, filename: 'a.mp4', inspection: claimed() });
    expect(inspection).toMatchObject({ ok: true, warnings: [{ code: 'NOT_FULLY_CHECKED' }] });
    expect(inspection.ok && inspection.warnings[0]?.message).toContain('has no decoder for their codec, evc');
  });

  test('sound without a video track is no clip', async () => {
    const path = join(folder, 'sound.avi');
    const args = ['-v', 'error', '-i', clips['h264-sound.mp4'], '-vn', '-c:a', 'pcm_s16le', path];
    await promisify(execFile)('ffmpeg', args);
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
    const path = await written('gone.mp4', await readFile(clips['h264.mp4']));
    const inspection = await inspect({ path, filename: 'a.mp4' });
    if (!inspection.ok) throw new Error('The clip is intact.');
    const decode = clipDecoder(ffmpeg, {
      runInSlot: async (request, work) => {
        await rm(path);
        return work(request.signal);
      },
    });
    const decoded = decode({ path, filename: 'a.mp4', sizeBytes: 1, inspection }, { accountId: 'a', signal: never() });
    await expect(decoded).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('a name like an option is a name', async () => {
    const path = join(folder, '-i');
    await copyFile(clips['h264.mp4'], path);
    expect(await inspectAndDecode(path, '-i.mp4')).toMatchObject({ ok: true, facts: { frames: 24 } });
  });

  describe('limits', () => {
    /** Decodes with another program in the place of ffprobe. */
    const decodeWith = async (script: string, signal: AbortSignal) => {
      const programs = join(folder, `programs-${script.length}`);
      await mkdir(programs);
      await writeFile(join(programs, 'ffprobe'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
      const runInSlot = <T>(request: { signal: AbortSignal }, work: (signal: AbortSignal) => Promise<T>) =>
        work(request.signal);
      const ffmpeg = { path: join(programs, 'ffmpeg'), version: '7' };
      const decode = clipDecoder(ffmpeg, { runInSlot }, 1);
      const clip = { path: clips['h264.mp4'], filename: 'a.mp4', sizeBytes: 1, inspection: claimed() };
      return decode(clip, { accountId: 'a', signal });
    };

    test.each([
      ['uses more than its processor time', 'while :; do :; done', 'takes more than 2 s'],
      ['crashes', 'kill -SEGV $$', 'crashes its decoder'],
    ])('a decoder that %s costs its clip', async (_, script, reason) => {
      const problem = { code: 'INSPECTION_FAILED', message: expect.stringContaining(reason) };
      expect(await decodeWith(script, never())).toMatchObject({ ok: false, problem });
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
      const decode = clipDecoder(
        { path: join(folder, 'nothing'), version: '7' },
        { runInSlot: (request, work) => work(request.signal) },
      );
      const clip = { path: clips['h264.mp4'], filename: 'a.mp4', sizeBytes: 1, inspection: claimed() };
      await expect(decode(clip, { accountId: 'a', signal: never() })).rejects.toMatchObject({ code: 'unavailable' });
    });
  });

  test.each([
    ['a playlist', (url: string) => Buffer.from(`#EXTM3U\n#EXTINF:1,\n${url}/a.ts\n#EXT-X-ENDLIST\n`)],
    ['a list of files', (url: string) => Buffer.from(`ffconcat version 1.0\nfile '${url}/a.mp4'\n`)],
    ['a manifest', (url: string) => Buffer.from(`<?xml version="1.0"?><MPD><BaseURL>${url}</BaseURL></MPD>`)],
    ['an SDP description', (url: string) => Buffer.from(`v=0\nm=video 9 ${url} 96\nc=IN IP4 127.0.0.1\n`)],
  ])('%s in the place of a clip makes no connection and is refused', async (_, contentWith) => {
    const { url, connections, close } = await listener();
    const path = await written('disguise.mp4', contentWith(url));
    for (const format of ['mp4', 'mkv', 'wmv']) {
      const inspection = claimed({ format });
      expect(await decodeInspected({ path, filename: 'a.mp4', inspection })).toMatchObject({ ok: false });
    }
    expect(connections()).toBe(0);
    await close();
  });

  test('a reference to samples in another file or at a URL is not followed', async () => {
    const { url, connections, close } = await listener();
    const intact = await readFile(clips['h264.mp4']);
    for (const location of [`${url}/a.mp4`, `file://${clips['mjpeg.mov']}`, `subfile,,start,0,end,9,,:${url}`]) {
      const path = await written('elsewhere.mp4', withDataReference(intact, location));
      const inspection = await decodeInspected({ path, filename: 'a.mp4', inspection: claimed() });
      // As the trainer's reader, ffmpeg takes the samples from this file.
      expect(inspection).toMatchObject({ ok: true, facts: { frames: 24 } });
    }
    // The other file has the samples, but neither ffmpeg nor the trainer's reader opens it.
    await written('other.mp4', intact);
    const path = await written('elsewhere.mp4', withDataReference(intact, 'other.mp4'));
    const inspection = await decodeInspected({ path, filename: 'a.mp4', inspection: claimed() });
    expect(inspection).toMatchObject({ ok: false, problem: { code: 'VIDEO_CORRUPT' } });
    expect(connections()).toBe(0);
    await close();
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

/** An MP4 file whose header comes last, changed to say that its samples are at `location`: a URL, or a file beside it. */
function withDataReference(bytes: Buffer, location: string): Buffer {
  const at = bytes.indexOf('url ', bytes.indexOf('dref')) - 4;
  const reference = location.includes(':') ? urlReference(location) : aliasReference(location);
  const changed = Buffer.concat([bytes.subarray(0, at), reference, bytes.subarray(at + 12)]);
  for (const type of ['moov', 'trak', 'mdia', 'minf', 'dinf', 'dref']) {
    const box = changed.lastIndexOf(type, at) - 4;
    changed.writeUInt32BE(changed.readUInt32BE(box) + reference.length - 12, box);
  }
  return changed;
}

/** A box of version 0, with flags that don't say that the samples are in this file. */
function referenceBox(type: string, content: Buffer): Buffer {
  const box = Buffer.concat([Buffer.alloc(12), content]);
  box.writeUInt32BE(box.length, 0);
  box.write(type, 4, 'latin1');
  return box;
}

function urlReference(url: string): Buffer {
  return referenceBox('url ', Buffer.from(`${url}\0`));
}

/** An alias of QuickTime to a file in the same folder. This is the kind of reference that ffmpeg can follow. */
function aliasReference(filename: string): Buffer {
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
  return referenceBox('alis', Buffer.concat([alias, field, path, Buffer.from([0xff, 0xff, 0, 0])]));
}

async function listener() {
  let count = 0;
  const server = createServer((socket) => {
    count++;
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    connections: () => count,
    close: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}
