import { Readable } from 'node:stream';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { PendingFile } from '../../../src/dataset/dataset.js';
import { acquireLease, reserve } from '../../../src/dataset/upload-transitions.js';
import { finalizeUploadJob } from '../../../src/service/jobs/finalize-upload-job.js';
import { findUploadsJob, searchOnRequest } from '../../../src/service/jobs/find-uploads-job.js';
import { JobRunner } from '../../../src/service/jobs/job-runner.js';
import { blobKeyOf, type PresignedObject } from '../../../src/storage/blobs/blobs.js';
import { Jobs } from '../../../src/storage/catalog/jobs.js';
import { LEASE, openPlace, PLACES, SECOND } from '../check/check-service.js';

const CAPTION = 'a dog';
const HOUR = 3600 * SECOND;

for (const place of PLACES.filter(({ name }) => name.endsWith('disk'))) {
  const suffix = place.leftOut === undefined ? '' : `, left out: ${place.leftOut}`;
  describe.skipIf(place.leftOut !== undefined)(`presigned uploads, on ${place.name}${suffix}`, () => {
    /** @param pageSize objects in a page of the store's listing */
    async function open({ pageSize = 1000 } = {}) {
      const opened = await openPlace(place);
      const { blobs, catalog, key, newInstance, database, time } = opened;
      const { dependencies } = newInstance();
      const { now, newId } = dependencies;
      const jobs = new Jobs(database);
      catalog.changes.onAnyChange(() => jobs.wake());
      const stored: PresignedObject[] = [];
      const rejected: string[] = [];
      const finalized: string[] = [];
      const errors: unknown[] = [];
      const listed: string[] = [];
      const listObjects = async (datasetId: string, { after = '' }: { after?: string | undefined } = {}) => {
        listed.push(after);
        const all = stored.filter((object) => object.key.startsWith(`${datasetId}/`) && object.key > after);
        const objects = all.toSorted((a, b) => (a.key < b.key ? -1 : 1)).slice(0, pageSize);
        return { objects, next: objects.length < all.length ? objects.at(-1)?.key : undefined };
      };
      const runner = new JobRunner({
        ...{ jobs, now, newId, leaseDuration: LEASE, isAlone: false },
        handlers: [
          findUploadsJob({ ...dependencies, jobs }, { listObjects }),
          finalizeUploadJob(dependencies, {
            onFinalized: ({ filename }) => finalized.push(filename),
            onRejected: (_, message) => rejected.push(message),
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
      const put = async (file: PendingFile, text = CAPTION) => {
        const limit = { bytes: text.length, message: '' };
        const { signal } = new AbortController();
        const name = blobKeyOf(file);
        const staged = await blobs.stage(Readable.from([Buffer.from(text)]), { key: name, limit, signal });
        await staged.commit();
        stored.push({ key: name, sizeBytes: text.length, version: '', lastModified: new Date() });
      };
      const advance = (micros: number) => {
        time.ahead += micros;
        jobs.wake();
      };
      const kinds = async () => (await jobs.counts()).map(({ kind }) => kind);
      return {
        ...opened,
        ...{ jobs, runner, reserveAll, put, advance, kinds, now, newId },
        ...{ finalized, rejected, errors, listed },
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
      const { runner, reserveAll, put, advance, finalized } = await open({ pageSize: 2 });
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
      const { runner, reserveAll, advance, jobs, now, kinds, listed } = await open();
      const pause = async () => {
        const [owner] = await jobs.owners(['find-uploads']);
        return owner && (owner.dueAt - now()) / SECOND;
      };
      await reserveAll(['a.txt']);
      runner.start();
      advance(100 * SECOND);
      await expect.poll(() => listed.length).toBe(1);
      await expect.poll(pause).toBeLessThan(10.5);
      expect(await pause()).toBeGreaterThan(8);
      advance(HOUR);
      await expect.poll(() => listed.length).toBe(2);
      await expect.poll(pause).toBeGreaterThan(50);
      expect(await pause()).toBeLessThanOrEqual(60);
      advance(HOUR);
      await expect.poll(kinds).toEqual([]);
    });

    test('that are replaced are retired at once if the store has no bytes of them, and removed after their end', async () => {
      const { runner, reserveAll, advance, catalog } = await open();
      const [first] = await reserveAll(['a.txt']);
      await reserveAll(['a.txt']);
      const uploadOf = async () => (await catalog.file(first!.id))?.upload;
      expect(await uploadOf()).toMatchObject({ replaced: { isRetired: false } });
      runner.start();
      await expect.poll(uploadOf).toMatchObject({ replaced: { isRetired: true } });
      advance(2 * HOUR + SECOND);
      await expect.poll(uploadOf).toBeUndefined();
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

    test('are searched for at once by requests for the status, which write once a second', async () => {
      const { runner, reserveAll, put, advance, finalized, jobs, key, now } = await open();
      const [file] = await reserveAll(['a.txt']);
      advance(60 * SECOND);
      runner.start();
      // The next search is due in six seconds.
      await expect.poll(async () => (await jobs.owners(['find-uploads']))[0]?.dueAt).toBeGreaterThan(now());
      await put(file!);
      let writes = 0;
      const counting: Pick<Jobs, 'add'> = {
        add: (...added) => {
          writes++;
          return jobs.add(...added);
        },
      };
      const search = searchOnRequest({ jobs: counting as Jobs, now }, () => {});
      for (let i = 0; i < 100; i++) search(key);
      expect(writes).toBe(1);
      await expect.poll(() => finalized).toEqual(['a.txt']);
    });
  });
}
