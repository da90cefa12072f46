import { execFile } from 'node:child_process';
import { chmod, copyFile, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { inspect } from '../../../../src/dataset/inspect/inspect.js';
import type { Facts, Inspection } from '../../../../src/dataset/inspect/inspection.js';
import { clipDecoder } from '../../../../src/service/inspection/clip/decode-clip.js';
import { type Ffmpeg, ffmpegChoiceOf, findFfmpeg } from '../../../../src/service/inspection/clip/ffmpeg.js';
import { ENCODED_CLIPS, type EncodedClip, encodeClips } from '../../../fixtures/encoded-clips.js';
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
    signal = new AbortController().signal,
  ): Promise<Inspection> => {
    const decode = clipDecoder(ffmpeg, { runInSlot: (request, work) => work(request.signal) });
    return decode({ ...clip, sizeBytes: (await stat(clip.path)).size }, { accountId: 'a', signal });
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
  /** A structure that is not proved, so that ffmpeg is the first to read the bytes. */
  const claimed = (facts: Partial<Facts & { kind: 'video' }> = {}) =>
    ({ ok: true, contentType: 'video/mp4', facts: { kind: 'video', format: 'mp4', ...facts }, warnings: [] }) as const;

  test.each(Object.entries(ENCODED_CLIPS) as [EncodedClip, number][])(
    '%s is intact, and %d frames are read',
    async (name, frames) => {
      const warnings = MISCOUNTED.has(name) ? [{ code: 'WRONG_DURATION' }] : [];
      expect(await inspectAndDecode(clips[name], name)).toMatchObject({ ok: true, facts: { frames }, warnings });
    },
  );

  test.each(['mpeg4.avi', 'windows.wmv', 'flash.flv'] as const)('%s has its facts from ffmpeg', async (name) => {
    const codec = { 'mpeg4.avi': 'mpeg4', 'windows.wmv': 'wmv2', 'flash.flv': 'flv1' }[name];
    const facts = { width: 96, height: 64, durationSeconds: 1, codec };
    expect(await inspectAndDecode(clips[name], name)).toMatchObject({ ok: true, facts });
  });

  describe('damage', () => {
    // These codecs notice changed bytes. The arithmetic codes of VP8, VP9 and AV1 accept any, except in headers.
    test.each(['h264.mp4', 'h264-444.mkv', 'hevc.mp4', 'mjpeg.mov', 'ffv1.mkv', 'mpeg4.avi', 'cinepak.avi'] as const)(
      'random bytes, and zeros, in the samples of %s are found',
      async (name) => {
        const random = generator(7);
        for (const [kind, byte] of [
          ['random', random],
          ['zeros', () => 0],
        ] as const) {
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

    test('shifted chunk offsets are found', async () => {
      const bytes = await readFile(clips['mjpeg.mov']);
      const table = bytes.indexOf('stco') + 8;
      for (let i = 0; i < bytes.readUInt32BE(table); i++) {
        const at = table + 4 + 4 * i;
        bytes.writeUInt32BE(bytes.readUInt32BE(at) + 7, at);
      }
      const inspection = await inspectAndDecode(await written('shifted.mov', bytes), 'a.mov');
      expect(inspection).toMatchObject({ ok: false, problem: { code: 'VIDEO_CORRUPT' } });
    });

    test('the message says how many frames are left, and is the same in every run', async () => {
      const bytes = await readFile(clips['mjpeg.mov']);
      const at = middleOf(bytes);
      bytes.fill(0, at, at + 100);
      const path = await written('short.mov', bytes);
      const found = await Promise.all(Array.from({ length: 5 }, () => inspectAndDecode(path, 'a.mov')));
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

    test('fewer frames than the tables promise are an error, also without an error of the decoder', async () => {
      const promised = { ...claimed({ frames: 30, format: 'mp4' }) };
      const inspection = await decodeInspected({ path: clips['h264.mp4'], filename: 'a.mp4', inspection: promised });
      const message = 'a.mp4 is damaged: only 24 of its 30 frames can be decoded. Upload an intact copy.';
      expect(inspection).toMatchObject({ ok: false, problem: { code: 'VIDEO_CORRUPT', message } });
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
    const inspection = await decodeInspected({ path, filename: 'a.mp4', inspection: claimed({ frames: 24 }) });
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

  test('a clip that would take more than an hour, or too much memory, keeps its warning', async () => {
    for (const facts of [
      { frames: 10_000_000, width: 1920, height: 1080 },
      { frames: 1, width: 7680, height: 4320 },
    ]) {
      const inspection = await decodeInspected({
        path: clips['h264.mp4'],
        filename: 'a.mp4',
        inspection: claimed(facts),
      });
      expect(inspection).toMatchObject({ ok: true, warnings: [{ code: 'NOT_FULLY_CHECKED' }] });
    }
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
    /** Decodes with another program in the place of ffmpeg. */
    const decodeWith = async (script: string, signal: AbortSignal) => {
      const path = await written(`program-${script.length}`, Buffer.from(`#!/bin/sh\n${script}\n`));
      await chmod(path, 0o755);
      const runInSlot = <T>(request: { signal: AbortSignal }, work: (signal: AbortSignal) => Promise<T>) =>
        work(request.signal);
      const decode = clipDecoder({ path, version: '7' }, { runInSlot, baseSeconds: 0 });
      const clip = { path: clips['h264.mp4'], filename: 'a.mp4', sizeBytes: 1, inspection: claimed({ frames: 24 }) };
      return decode(clip, { accountId: 'a', signal });
    };

    test('a decoder that uses more than its processor time costs its clip', async () => {
      const inspection = await decodeWith('while :; do :; done', never());
      const problem = { code: 'INSPECTION_FAILED', message: expect.stringContaining('takes more than 1 s') };
      expect(inspection).toMatchObject({ ok: false, problem });
    });

    test('a decoder that crashes costs its clip', async () => {
      const inspection = await decodeWith('kill -SEGV $$', never());
      const problem = { code: 'INSPECTION_FAILED', message: expect.stringContaining('crashes ffmpeg') };
      expect(inspection).toMatchObject({ ok: false, problem });
    });

    test('a frame that needs more memory than a decoder may use costs its clip', async () => {
      const bytes = await readFile(clips['animation.mov']);
      const sampleEntry = bytes.indexOf('rle ', bytes.indexOf('stsd'));
      bytes.writeUInt16BE(12_000, sampleEntry + 28);
      bytes.writeUInt16BE(12_000, sampleEntry + 30);
      const path = await written('huge.mov', bytes);
      const inspection = await decodeInspected({
        path,
        filename: 'a.mov',
        inspection: claimed({ width: 96, height: 64 }),
      });
      const problem = { code: 'INSPECTION_FAILED', message: expect.stringContaining('needs more than 240 MB') };
      expect(inspection).toMatchObject({ ok: false, problem });
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
    for (const format of ['mp4', 'mkv', 'avi', 'wmv', 'flv']) {
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
      const inspection = await decodeInspected({ path, filename: 'a.mp4', inspection: claimed({ frames: 24 }) });
      // As the trainer's reader, ffmpeg takes the samples from this file.
      expect(inspection).toMatchObject({ ok: true, facts: { frames: 24 } });
    }
    // The other file has the samples, but neither ffmpeg nor the trainer's reader opens it.
    await written('other.mp4', intact);
    const path = await written('elsewhere.mp4', withDataReference(intact, 'other.mp4'));
    const inspection = await decodeInspected({ path, filename: 'a.mp4', inspection: claimed({ frames: 24 }) });
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
