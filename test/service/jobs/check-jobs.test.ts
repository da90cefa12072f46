import { describe, expect, test } from 'vitest';
import { ServiceError } from '../../../src/dataset/errors.js';
import { inspectWith, loadDecoder } from '../../../src/dataset/inspect/inspect.js';
import { CpuBudgetSpent } from '../../../src/service/inspection/limited-process.js';
import { emptyTrash } from '../../../src/service/jobs/clean-up-jobs.js';
import { releaseLeases } from '../../../src/service/upload/upload-lease.js';
import { blobKeyOf } from '../../../src/storage/blobs/blobs.js';
import { clip, jpeg } from '../../fixtures/media.js';
import { laptop } from '../../harness/author.js';
import { eventually } from '../../harness/server.js';
import { decoded, LEASE, openPlace, SECOND, undecodable, withFetch } from '../check/check-service.js';

describe('a clip whose decode takes long', () => {
  test('is answered before it is decoded, and its dataset is UPLOADING until then', async () => {
    const { newInstance, view, becomes, watch, time, trash } = await openPlace();
    const { checks, upload, decode, dependencies } = newInstance();
    const statuses = watch();
    checks.start();
    const { id, upload: answered } = await upload('long.mp4');
    await upload('long.txt', 'a dog');
    expect(answered.state).toBe('received');
    expect(await view()).toMatchObject({
      status: 'UPLOADING',
      files: [{ filename: 'long.txt' }],
      receivedFiles: [{ filename: 'long.mp4', upload: { sha256: answered.state === 'received' && answered.sha256 } }],
      findings: { errors: [{ code: 'NO_MEDIA' }] },
      dataset: { counts: { received: 1, pending: 0 } },
    });
    time.ahead = 1000 * 3600 * SECOND;
    await releaseLeases(dependencies, { isLiveToo: true });
    await emptyTrash(dependencies);
    expect((await view()).status).toBe('UPLOADING');
    time.ahead = 0;
    const { clip, end } = await decode();
    expect(clip).toMatchObject({
      filename: 'long.mp4',
      sizeBytes: answered.state === 'received' && answered.sizeBytes,
    });
    end(decoded(clip));
    const { files, findings, receivedFiles } = await becomes('READY');
    expect(files.map((file) => [file.filename, file.id === id])).toEqual([
      ['long.mp4', true],
      ['long.txt', false],
    ]);
    expect(files[0]?.upload.facts).toMatchObject({ frames: 12 });
    expect([findings, receivedFiles]).toEqual([{ errors: [], warnings: [] }, []]);
    await eventually(() => statuses.at(-1) === 'READY' || undefined);
    expect(statuses).not.toContain('FAILED');
    expect(await trash()).toEqual([]);
  });

  test('is like an image whose inspection takes long, which is inspected after the answer', async () => {
    const { newInstance, becomes } = await openPlace();
    const { checks, upload } = newInstance({
      inspect: async (file, { maxSeconds, isBackground }) => {
        if (maxSeconds !== undefined) throw new CpuBudgetSpent();
        if (file.filename === 'a.jpg') expect(isBackground).toBe('awaited');
        return inspectWith(file as { filename: string; path: string; sizeBytes: number }, { loadDecoder });
      },
    });
    const { upload: answered } = await upload('a.jpg', await jpeg({ width: 640, height: 480 }));
    expect(answered.state).toBe('received');
    await upload('a.txt', 'a dog');
    checks.start();
    const { files } = await becomes('READY');
    expect(files[0]?.upload.facts).toMatchObject({ width: 640, height: 480 });
  });

  test('that is rejected after the answer makes the dataset FAILED with the reason', async () => {
    const { newInstance, becomes, watch, trash } = await openPlace();
    const { checks, upload, decode } = newInstance();
    const statuses = watch();
    checks.start();
    const { id, datasetId } = await upload('long.mp4');
    const { clip, end } = await decode();
    end(undecodable(clip));
    const { findings, files } = await becomes('FAILED');
    expect(files).toEqual([]);
    expect(findings.errors).toMatchObject([{ code: 'VIDEO_CORRUPT', filename: 'long.mp4' }]);
    await eventually(() => statuses.at(-1) === 'FAILED' || undefined);
    expect(await trash()).toEqual([blobKeyOf({ id, datasetId })]);
  });

  test('goes on after a restart, and a stopped process has aborted its decode and released its job', async () => {
    const { newInstance, becomes, checkJobs } = await openPlace();
    const first = newInstance();
    first.checks.start();
    await first.upload('long.mp4');
    await first.upload('long.txt', 'a dog');
    const { signal } = await first.decode();
    await first.checks.stop();
    expect(signal.aborted).toBe(true);
    expect(await checkJobs()).toEqual({ waiting: 1, running: 0, failed: 0 });
    const second = newInstance();
    second.checks.start();
    const { clip, end } = await second.decode();
    end(decoded(clip));
    await becomes('READY');
    expect([first.errors, second.errors]).toEqual([[], []]);
  });

  test('is taken over once the lease of an instance that died has expired, and at once by a process that is alone', async () => {
    const { newInstance, becomes, key, time } = await openPlace();
    const dead = newInstance();
    const { now, newId } = dead.dependencies;
    const claim = () => {
      const lease = { now: now(), until: now() + LEASE, token: newId() };
      return dead.jobs.claim({ kind: 'check-file', accountId: key.accountId }, lease);
    };
    await dead.upload('long.txt', 'a dog');
    await dead.upload('long.mp4');
    expect(await claim()).toBeDefined();
    const other = newInstance();
    other.checks.start();
    time.ahead = LEASE + SECOND;
    other.jobs.wake();
    const { clip, end } = await other.decode();
    end(decoded(clip));
    await becomes('READY');
    await other.checks.stop();
    await dead.upload('long 2.mp4');
    expect(await claim()).toBeDefined();
    const alone = newInstance({ isAlone: true });
    alone.checks.start();
    expect((await alone.decode()).clip.filename).toBe('long 2.mp4');
  });

  test('that is removed or replaced while it is decoded stays so, and the dataset says so if the other clip differs', async () => {
    const { newInstance, removals, key, view, becomes, trash } = await openPlace();
    const { checks, upload, decode } = newInstance();
    checks.start();
    const removed = await upload('long.mp4');
    const first = await decode(1);
    await removals.file(key, 'long.mp4', { author: laptop });
    expect((await view()).status).toBe('DRAFT');
    first.end(decoded(first.clip));
    expect(await trash()).toEqual([blobKeyOf(removed)]);

    await upload('long.txt', 'a dog');
    const replaced = await upload('long.mp4');
    const second = await decode(2);
    const replacement = await upload('long.mp4');
    const third = await decode(3);
    third.end(decoded(third.clip));
    const { files, findings } = await becomes('READY');
    expect(files.map(({ id }) => id)).toContain(replacement.id);
    // It has the same bytes.
    expect(findings.warnings).toEqual([]);
    second.end(undecodable(second.clip));
    expect(await trash()).toEqual([removed, replaced].map(blobKeyOf).sort());

    await upload('long 2.txt', 'a cat');
    await upload('long 2.mp4');
    await decode(4);
    const other = await upload('long 2.mp4', clip('moov-last.mp4'));
    const last = await decode(5);
    last.end(decoded(last.clip));
    const replacedAgain = await becomes('READY');
    expect(replacedAgain.files.map(({ id }) => id)).toContain(other.id);
    expect(replacedAgain.findings.warnings).toMatchObject([{ code: 'REPLACEMENT_REJECTED', filename: 'long 2.mp4' }]);
  });

  test('whose bytes vanished is rejected, and one that can not be read at the moment is not', async () => {
    const { newInstance, blobs, becomes, checkJobs, time } = await openPlace();
    const vanished = await newInstance().upload('long.mp4');
    await newInstance().upload('long.txt', 'a dog');
    const isDown = { value: true };
    const unavailable = new ServiceError('unavailable', 'The store does not answer.');
    const store = withFetch(blobs, (...args) => (isDown.value ? Promise.reject(unavailable) : blobs.fetch(...args)));
    const { checks, errors, jobs } = newInstance({ blobs: store });
    checks.start();
    await eventually(() => errors[0]);
    expect(errors[0]).toContain(vanished.id);
    await expect.poll(checkJobs).toEqual({ waiting: 1, running: 0, failed: 1 });
    await blobs.delete([blobKeyOf(vanished)]);
    isDown.value = false;
    // The pause after a failure grows to a minute.
    const retried = async () => {
      time.ahead += 60 * SECOND;
      jobs.wake();
    };
    await retried();
    await eventually(() => errors[1]);
    await expect.poll(checkJobs).toEqual({ waiting: 1, running: 0, failed: 1 });
    await retried();
    const { findings } = await becomes('FAILED');
    expect(findings.errors).toMatchObject([{ code: 'NO_MEDIA' }, { code: 'BYTES_LOST', filename: 'long.mp4' }]);
  });

  test('is stored with its warnings if there is no decoder any more', async () => {
    const { newInstance, becomes } = await openPlace();
    await newInstance().upload('long.txt', 'a dog');
    await newInstance().upload('long.mp4');
    const { checks, decodes } = newInstance({ hasDecoder: false });
    checks.start();
    expect((await becomes('READY')).files).toHaveLength(2);
    expect(decodes).toEqual([]);
  });
});

test('a clip whose decode is expected to take at most 20 seconds is decoded before the answer', async () => {
  const { newInstance, view } = await openPlace();
  const { upload, decode } = newInstance();
  await upload('short.txt', 'a dog');
  const good = upload('short.mp4');
  const first = await decode(1);
  first.end(decoded(first.clip));
  expect((await good).upload).toMatchObject({ state: 'stored', facts: { frames: 12 } });
  expect((await view()).status).toBe('READY');
  const bad = upload('short.mp4').catch((error) => error);
  const second = await decode(2);
  second.end(undecodable(second.clip));
  expect(await bad).toMatchObject({ code: 'invalid_content', message: expect.stringContaining('damaged') });
  expect((await view()).files.map((file) => file.upload.facts)).toContainEqual(expect.objectContaining({ frames: 12 }));
});
