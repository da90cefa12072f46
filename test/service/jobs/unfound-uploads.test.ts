import { Readable } from 'node:stream';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { PendingFile } from '../../../src/dataset/dataset.js';
import { acquireLease, reserve } from '../../../src/dataset/upload-transitions.js';
import { cleanUpJobs } from '../../../src/service/jobs/clean-up-jobs.js';
import { JobRunner } from '../../../src/service/jobs/job-runner.js';
import { finalizeUploadJob, findUploadsJob } from '../../../src/service/jobs/presigned-jobs.js';
import { blobKeyOf, type Staging } from '../../../src/storage/blobs/blobs.js';
import type { Retention } from '../../../src/storage/catalog/history/retention.js';
import { Jobs } from '../../../src/storage/catalog/jobs.js';
import { LEASE, openPlace, PLACES, SECOND } from '../check/check-service.js';

const CAPTION = 'a dog';
const HOUR = 3600 * SECOND;

describe('presigned uploads', () => {
  async function open() {
    const opened = await openPlace(PLACES[0]!);
    const { blobs, catalog, key, newInstance, database, time } = opened;
    const { dependencies } = newInstance();
    const { now, newId } = dependencies;
    const jobs = new Jobs(database);
    catalog.changes.onAnyChange(() => jobs.wake());
    const rejected: string[] = [];
    const finalized: string[] = [];
    const ignored: string[] = [];
    const errors: unknown[] = [];
    /** When a client has written the object for a blob, by key. The disk has these objects under other names. */
    const written = new Map<string, number>();
    const stagedName = (key: string) => `${key}staged`;
    const staging: Staging = {
      async *list(datasetId = '') {
        const all = [...written].map(([key, changedAt]) => ({ key, changedAt }));
        const objects = all.filter(({ key }) => key.startsWith(datasetId));
        for (let at = 0; at < objects.length; at += 2) yield objects.slice(at, at + 2);
      },
      receive: async (key, options) => {
        if (!written.has(key)) return undefined;
        const fetched = await blobs.fetch(stagedName(key), options);
        const commit = async () => {
          const body = (await blobs.read(stagedName(key)))!;
          return (await blobs.stage(body, { ...options, key })).commit();
        };
        return fetched && { ...fetched, commit };
      },
      delete: async (keys) => {
        for (const key of keys) written.delete(key);
        await blobs.delete(keys.map(stagedName));
      },
    };
    const withStaging = { ...dependencies, jobs, blobs: Object.assign(Object.create(blobs), { staging }) };
    const runner = new JobRunner({
      ...{ jobs, now, newId, leaseDuration: LEASE, isAlone: false },
      handlers: [
        findUploadsJob(withStaging),
        finalizeUploadJob(withStaging, {
          onFinalized: ({ filename }) => finalized.push(filename),
          onRejected: (_, message) => rejected.push(message),
          onIgnored: (key) => ignored.push(key),
        }),
      ],
      onError: (error) => errors.push(error),
    });
    onTestFinished(() => runner.stop());
    /** Reserves uploads of captions through presigned links. */
    const reserveAll = async (filenames: readonly string[], expectedBytes = CAPTION.length) => {
      const files = filenames.map((filename): PendingFile => {
        const lease = { leaseUntil: null, leaseToken: null };
        const upload = {
          state: 'pending',
          via: 'presigned',
          expectedBytes,
          expiresAt: now() + HOUR,
          ...lease,
        } as const;
        return { id: newId(), datasetId: key.id, filename, kind: 'caption', createdAt: now(), upload };
      });
      const change = { datasetId: key.id, filenames, now: now(), isActivity: true };
      await catalog.change(change, (group, stem) =>
        files.filter(({ filename }) => filename === `${stem}.txt`).reduce(reserve, group),
      );
      return files;
    };
    /** Writes an object as a client does through its link. */
    const put = async (file: Pick<PendingFile, 'id' | 'datasetId'>, text = CAPTION) => {
      const limit = { bytes: text.length, message: '' };
      const { signal } = new AbortController();
      const key = blobKeyOf(file);
      await blobs.delete([stagedName(key)]);
      const staged = await blobs.stage(Readable.from([Buffer.from(text)]), { key: stagedName(key), limit, signal });
      await staged.commit();
      written.set(key, now() / 1000);
    };
    const advance = (micros: number) => {
      time.ahead += micros;
      jobs.wake();
    };
    const kinds = async () => (await jobs.counts()).map(({ kind }) => kind);
    return {
      ...opened,
      ...{ jobs, runner, reserveAll, put, advance, kinds, now, newId },
      ...{ finalized, rejected, ignored, errors, written, staging, withStaging },
    };
  }

  test('are found in the store, finalized and searched for no more', async () => {
    const { runner, reserveAll, put, advance, kinds, finalized, errors, catalog, key } = await open();
    const [file] = await reserveAll(['a.txt']);
    await put(file!);
    runner.start();
    advance(3 * SECOND);
    await expect.poll(() => finalized).toEqual(['a.txt']);
    expect((await catalog.storedFile({ datasetId: key.id, filename: 'a.txt' }))?.id).toBe(file!.id);
    await expect
      .poll(() => {
        advance(60 * SECOND);
        return kinds();
      })
      .toEqual([]);
    expect(errors).toEqual([]);
  });

  test('are found among thousands of links and objects, which are read in pages', async () => {
    const { runner, reserveAll, put, advance, finalized } = await open();
    const names = Array.from({ length: 2100 }, (_, i) => `${i}.txt`);
    const files = await reserveAll(names);
    const sorted = files.toSorted((a, b) => (a.id < b.id ? -1 : 1));
    const written = [0, 1, 2, 1050, 2098, 2099].map((at) => sorted[at]!);
    for (const file of written) await put(file);
    runner.start();
    advance(3 * SECOND);
    await expect.poll(() => finalized.toSorted()).toEqual(written.map(({ filename }) => filename).toSorted());
  });

  test('are searched for less and less often, and no more an hour after the links ended', async () => {
    const { reserveAll, withStaging, advance, key, now } = await open();
    const [file] = await reserveAll(['a.txt']);
    const job = { kind: 'find-uploads', key: key.id, accountId: key.accountId, payload: {} } as const;
    const claim = { failures: 0, error: undefined, lease: 'lease', generation: 0 };
    const search = () => findUploadsJob(withStaging).run({ ...job, ...claim }, new AbortController().signal);
    /** A tenth of the time since the reservation, from two to ten seconds. */
    const pauseAt = (time: number) => Math.min(Math.max((time - file!.createdAt) / 10, 2 * SECOND), 10 * SECOND);
    for (const later of [0, 50 * SECOND, HOUR]) {
      advance(later);
      const before = now();
      const end = await search();
      const dueAt = end === 'done' ? 0 : end.dueAt;
      expect(dueAt).toBeGreaterThanOrEqual(before + Math.floor(pauseAt(before)));
      expect(dueAt).toBeLessThanOrEqual(now() + Math.ceil(pauseAt(now())));
    }
    advance(HOUR);
    expect(await search()).toBe('done');
  });

  test('through a link that was used or withdrawn are deleted, and change nothing', async () => {
    const { runner, reserveAll, put, advance, finalized, ignored, written, catalog, key, now, jobs } = await open();
    const [withdrawn] = await reserveAll(['a.txt']);
    const [used] = await reserveAll(['a.txt']);
    await put(used!);
    runner.start();
    advance(3 * SECOND);
    await expect.poll(() => finalized).toEqual(['a.txt']);
    const before = await catalog.storedFile({ datasetId: key.id, filename: 'a.txt' });
    await expect.poll(() => written.size).toBe(0);
    await put(used!, 'a cat');
    await put(withdrawn!, 'a fox');
    await jobs.add([{ kind: 'find-uploads', key: key.id, accountId: key.accountId, dueAt: now() }]);
    advance(0);
    await expect.poll(() => ignored.toSorted()).toEqual([used!, withdrawn!].map(blobKeyOf).toSorted());
    await expect.poll(() => written.size).toBe(0);
    expect(await catalog.storedFile({ datasetId: key.id, filename: 'a.txt' })).toEqual(before);
  });

  test('that no search finds are deleted after a day, unless they are pending', async () => {
    const { reserveAll, put, advance, written, withStaging, key, newId, database } = await open();
    const [pending] = await reserveAll(['a.txt']);
    const unknown = { id: newId(), datasetId: key.id };
    await put(pending!);
    await put(unknown);
    const job = { kind: 'clean-store', key: '', accountId: '', payload: {} } as const;
    const claim = { failures: 0, error: undefined, lease: 'lease', generation: 1 };
    const jobs = cleanUpJobs(withStaging, { database, retention: {} as Retention });
    const handler = jobs.find(({ kind }) => kind === job.kind)!;
    const clean = () => handler.run({ ...job, ...claim }, new AbortController().signal);
    advance(23 * HOUR);
    await clean();
    expect(written.size).toBe(2);
    advance(2 * HOUR);
    await clean();
    expect([...written.keys()]).toEqual([blobKeyOf(pending!)]);
  });

  test('whose bytes are not what the link was for are rejected', async () => {
    const { runner, reserveAll, put, advance, rejected, catalog, kinds } = await open();
    const [file] = await reserveAll(['a.txt'], 3);
    await put(file!);
    runner.start();
    advance(3 * SECOND);
    await expect.poll(() => rejected).toEqual([expect.stringContaining('was for 3 bytes')]);
    expect((await catalog.file(file!.id))?.upload.state).toBe('rejected');
    await expect.poll(kinds).not.toContain('finalize-upload');
  });

  test('keep their object if another process takes over while they are rejected', async () => {
    const opened = await open();
    const { runner, reserveAll, put, advance, rejected, errors, written, catalog, key, now, staging } = opened;
    const [file] = await reserveAll(['a.txt'], 3);
    await put(file!);
    const { receive } = staging;
    staging.receive = async (...args) => {
      advance(2 * LEASE);
      const lease = { now: now(), until: now() + HOUR, token: 'other' };
      const change = { datasetId: key.id, filenames: ['a.txt'], now: now(), isActivity: false };
      await catalog.change(change, (group) => acquireLease(group, file!.id, lease));
      return receive(...args);
    };
    runner.start();
    advance(3 * SECOND);
    await expect.poll(() => errors.length + rejected.length).toBe(1);
    expect(rejected).toEqual([]);
    expect([...written.keys()]).toEqual([blobKeyOf(file!)]);
    expect((await catalog.file(file!.id))?.upload).toMatchObject({ state: 'pending', leaseToken: 'other' });
  });

  test('that another process finalizes are left to it until its lease ends', async () => {
    const { runner, reserveAll, put, advance, finalized, catalog, key, now, jobs } = await open();
    const [file] = await reserveAll(['a.txt']);
    await put(file!);
    const lease = { now: now(), until: now() + HOUR, token: 'other' };
    const change = { datasetId: key.id, filenames: ['a.txt'], now: now(), isActivity: false };
    await catalog.change(change, (group) => acquireLease(group, file!.id, lease));
    runner.start();
    advance(3 * SECOND);
    const finalization = async () => (await jobs.counts()).find(({ kind }) => kind === 'finalize-upload');
    await expect.poll(finalization).toMatchObject({ waiting: 1, failed: 0 });
    expect(finalized).toEqual([]);
    advance(HOUR);
    await expect.poll(() => finalized).toEqual(['a.txt']);
  });
});
