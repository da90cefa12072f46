import sharp from 'sharp';
import { describe, expect, test } from 'vitest';
import { laptop } from '../../harness/author.js';
import type { CompleteFile } from '../../../src/dataset/dataset.js';
import { ServiceError } from '../../../src/dataset/errors.js';
import type { Inspector } from '../../../src/service/dependencies.js';
import { CpuBudgetSpent } from '../../../src/service/inspection/limited-process.js';
import { blobKeyOf, type BlobStore } from '../../../src/storage/blobs/blobs.js';
import { maskPng } from '../../fixtures/masks.js';
import * as media from '../../fixtures/media.js';
import { storeBlob } from '../../harness/backends.js';
import { eventually } from '../../harness/server.js';
import { decoded, openPlace, SECOND, undecodable, withFetch } from '../check/check-service.js';

/** Accepts every image, as an earlier version of the service did with some damaged ones. */
const LENIENT: Inspector = async ({ filename }) =>
  filename.endsWith('.txt')
    ? { ok: true, contentType: 'text/plain', facts: { kind: 'caption', characters: 5 }, warnings: [] }
    : {
        ok: true,
        contentType: 'image/png',
        facts: { kind: 'image', format: 'png', width: 9, height: 9 },
        warnings: [],
      };

/** Replaces the bytes of a file, as a failing disk or a foreign client may do. */
async function overwrite(blobs: BlobStore, file: CompleteFile, bytes: Buffer): Promise<void> {
  await blobs.delete([blobKeyOf(file)]);
  await storeBlob(blobs, blobKeyOf(file), bytes);
}

const namesOf = (files: readonly { filename: string }[]) => files.map(({ filename }) => filename);

describe('a recheck', () => {
  test('makes a READY dataset FAILED if a file is damaged, and keeps the file until it is replaced', async () => {
    const { newInstance, view, watch, blobs, trash } = await openPlace();
    const old = newInstance({ inspect: LENIENT });
    const image = await media.jpeg();
    await old.upload('bad.jpg', image.subarray(0, image.length / 2));
    await old.upload('bad.txt', 'a dog');
    await old.upload('good.jpg', image);
    await old.upload('good.txt', 'a cat');
    expect((await view()).status).toBe('READY');
    const statuses = watch();
    const { rechecks, startRecheck, rechecked, upload } = newInstance();
    rechecks.start();
    await startRecheck();
    const { problems } = await rechecked();
    expect(problems).toMatchObject([{ code: 'IMAGE_CORRUPT', filename: 'bad.jpg' }]);
    const failed = await view();
    expect(failed).toMatchObject({ status: 'FAILED', digest: undefined, findings: { errors: problems } });
    expect(namesOf(failed.files)).toEqual(['bad.txt', 'good.jpg', 'good.txt']);
    expect(namesOf(failed.damagedFiles)).toEqual(['bad.jpg']);
    expect((await blobs.find([blobKeyOf(failed.damagedFiles[0]!)])).size).toBe(1);
    // The facts that the earlier version had recorded are corrected.
    expect(failed.files.find(({ filename }) => filename === 'good.jpg')?.upload.facts).not.toMatchObject({ width: 9 });
    await eventually(() => statuses.at(-1) === 'FAILED' || undefined);
    await upload('bad.jpg', image);
    expect((await view()).status).toBe('READY');
    // The history keeps the damaged file.
    expect(await trash()).toEqual([]);
  });

  test('finds bytes that were changed or lost after the upload, and their return', async () => {
    const { newInstance, blobs, view } = await openPlace();
    const { rechecks, upload, startRecheck, rechecked } = newInstance();
    const image = await media.jpeg();
    await upload('changed.jpg', image);
    const changed = await upload('changed.txt', 'a dog');
    const lost = await upload('lost.jpg', image);
    await upload('lost.txt', 'a cat');
    // The other bytes are an intact caption of the same size.
    await overwrite(blobs, changed, Buffer.from('a cat'));
    await blobs.delete([blobKeyOf(lost)]);
    rechecks.start();
    await startRecheck();
    const { problems } = await rechecked();
    expect(problems.map(({ code, filename }) => [code, filename])).toEqual([
      ['BYTES_LOST', 'changed.txt'],
      ['BYTES_LOST', 'lost.jpg'],
    ]);
    expect((await view()).status).toBe('FAILED');
    await overwrite(blobs, changed, Buffer.from('a dog'));
    await overwrite(blobs, lost, image);
    await startRecheck();
    expect((await rechecked()).problems).toEqual([]);
    expect((await view()).status).toBe('READY');
  });

  test('decodes clips that were stored without a decoder', async () => {
    const { newInstance, view } = await openPlace();
    const { upload } = newInstance({ hasDecoder: false });
    for (const stem of ['long a', 'long b']) {
      await upload(`${stem}.mp4`);
      await upload(`${stem}.txt`, 'a dog');
    }
    const { rechecks, startRecheck, rechecked, decode } = newInstance();
    rechecks.start();
    await startRecheck();
    for (const count of [1, 2]) {
      const { clip, end } = await decode(count);
      end(clip.filename === 'long a.mp4' ? decoded(clip) : undecodable(clip));
    }
    expect((await rechecked()).problems).toMatchObject([{ code: 'VIDEO_CORRUPT', filename: 'long b.mp4' }]);
    const { status, files, damagedFiles } = await view();
    expect([status, namesOf(damagedFiles)]).toEqual(['FAILED', ['long b.mp4']]);
    const good = files.find(({ filename }) => filename === 'long a.mp4');
    expect(good?.upload).toMatchObject({ facts: { frames: 12 }, warnings: [] });
  });

  test('leaves files alone that are removed or replaced meanwhile, and does not inspect new ones', async () => {
    const { newInstance, removals, key, view } = await openPlace();
    const { upload } = newInstance({ hasDecoder: false });
    for (const name of ['a.mp4', 'b.mp4', 'c.mp4']) await upload(name);
    const { rechecks, startRecheck, rechecked, decode, decodes } = newInstance();
    rechecks.start();
    await startRecheck();
    const [first, second] = [await decode(1), await decode(2)];
    const { filename } = first.clip;
    const waiting = ['a.mp4', 'b.mp4', 'c.mp4'].find((name) => name !== filename && name !== second.clip.filename);
    await removals.file(key, waiting!, { author: laptop });
    const replacement = await upload(filename);
    first.end(undecodable(first.clip));
    second.end(decoded(second.clip));
    expect((await rechecked()).problems).toEqual([]);
    expect(decodes).toHaveLength(2);
    const { files, damagedFiles } = await view();
    expect(damagedFiles).toEqual([]);
    expect(files.map(({ id }) => id)).toContain(replacement.id);
  });

  test('waits for a store that does not answer, and marks no file', async () => {
    const { newInstance, blobs, view, time } = await openPlace();
    await newInstance().upload('a.jpg', await media.jpeg());
    await newInstance().upload('a.txt', 'a dog');
    const isDown = { value: true };
    const unavailable = new ServiceError('unavailable', 'The store does not answer.');
    const store = withFetch(blobs, (...args) => (isDown.value ? Promise.reject(unavailable) : blobs.fetch(...args)));
    const { rechecks, startRecheck, rechecked, progress, errors, jobs } = newInstance({ blobs: store });
    rechecks.start();
    await startRecheck();
    const failed = async () => (await jobs.counts()).find(({ kind }) => kind === 'inspect-again')?.failed;
    await eventually(async () => (await failed()) === 2 || undefined);
    expect(errors).toHaveLength(2);
    expect((await progress()).recheck).toMatchObject({ total: 2, remaining: 2, finishedAt: null });
    expect((await view()).status).toBe('READY');
    isDown.value = false;
    time.ahead = 100 * SECOND;
    jobs.wake();
    expect((await rechecked()).problems).toEqual([]);
    expect((await view()).status).toBe('READY');
  });

  test('is not started twice, and ends with its dataset', async () => {
    const { newInstance, datasets, key } = await openPlace();
    const { upload } = newInstance({ hasDecoder: false });
    await upload('a.mp4');
    const { rechecks, startRecheck, decode, decodes } = newInstance();
    rechecks.start();
    const first = await startRecheck();
    const { signal } = await decode();
    expect((await startRecheck()).recheck?.startedAt).toBe(first.recheck?.startedAt);
    await datasets.remove(key);
    await eventually(() => signal.aborted || undefined);
    await expect(startRecheck()).rejects.toMatchObject({ code: 'dataset_not_found' });
    expect(decodes).toHaveLength(1);
  });
});

const BLACK = maskPng({ width: 9, height: 9, colour: 0, depth: 8, pixel: () => [0] });
const COLOURED = maskPng({ width: 9, height: 9, colour: 2, depth: 8, pixel: () => [200, 0, 0] });
const blackJpeg = () =>
  sharp({ create: { width: 16, height: 16, channels: 3, background: '#000' } })
    .jpeg()
    .toBuffer();

describe('masks', () => {
  async function openMasks() {
    const opened = await openPlace();
    const { view } = opened;
    /** The warnings of the files, as `b.png BLACK_MASK`, once they are as expected. */
    const findings = async () => {
      const { warnings } = (await view()).findings;
      return warnings
        .filter(({ code }) => !['ORPHAN_CAPTION', 'UNUSED_CAPTION'].includes(code))
        .map(({ filename, code }) => `${filename} ${code}`);
    };
    const becomes = (...expected: string[]) =>
      eventually(async () => JSON.stringify(await findings()) === JSON.stringify(expected) || undefined);
    return { ...opened, findings, becomes };
  }

  test('a dataset that becomes masks is inspected as such, and as others once it is none any more', async () => {
    const { newInstance, becomes, findings, view, key } = await openMasks();
    const { upload, rechecks, rechecked, progress, datasets, errors } = newInstance();
    await upload('a.jpg', await blackJpeg());
    await upload('b.png', COLOURED);
    await upload('c.png', BLACK);
    expect(await findings()).toEqual([]);
    await datasets.change(key, { role: 'mask' });
    expect(await findings()).toEqual([]);
    // The files are inspected by a server that is started later.
    rechecks.start();
    await becomes('a.jpg BLACK_MASK', 'b.png MASK_NOT_GRAYSCALE', 'c.png BLACK_MASK');
    expect((await rechecked()).recheck).toMatchObject({ total: 3, remaining: 0 });
    expect((await view()).status).toBe('READY');
    // A mask that is uploaded now is inspected as one.
    await upload('d.png', BLACK);
    await becomes('a.jpg BLACK_MASK', 'b.png MASK_NOT_GRAYSCALE', 'c.png BLACK_MASK', 'd.png BLACK_MASK');
    await datasets.change(key, { role: 'control' });
    await becomes();
    const { recheck } = await rechecked();
    // Training images and controls are inspected alike.
    await datasets.change(key, { role: 'training', name: 'other' });
    expect((await progress()).recheck).toEqual(recheck);
    expect(errors).toEqual([]);
  });

  test.each([false, true])('a file inspected before the role changes is inspected again; by job: %s', async (byJob) => {
    const { newInstance, becomes, key } = await openMasks();
    const { rechecks, rechecked, datasets, dependencies } = newInstance();
    rechecks.start();
    const uploader = newInstance({
      inspect: async (file, options) => {
        if (byJob && options.maxSeconds !== undefined) throw new CpuBudgetSpent();
        const inspection = await dependencies.inspect(file, options);
        if (options.role === 'training') {
          await datasets.change(key, { role: 'mask' });
          expect((await rechecked()).recheck).toMatchObject({ total: 0, remaining: 0 });
        }
        return inspection;
      },
    });
    if (byJob) uploader.checks.start();
    await uploader.upload('a.png', BLACK);
    await becomes('a.png BLACK_MASK');
  });
});
