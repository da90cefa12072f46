import { isDeepStrictEqual } from 'node:util';
import { expect, test } from 'vitest';
import { finalize, remove, reserve } from '../../../src/dataset/upload-transitions.js';
import { datasetCountsOf } from '../../harness/counts-of.js';
import type { DatasetFile, PendingFile, ReceivedFile, StoredFile } from '../../../src/dataset/dataset.js';
import { type FileKind, MEDIA, mediaTypeOf } from '../../../src/dataset/media.js';
import type { ErrorProblem } from '../../../src/dataset/problems.js';
import { blobKeyOf } from '../../../src/storage/blobs/blobs.js';
import { CaptionRuns } from '../../../src/storage/catalog/captioning.js';
import { Catalog } from '../../../src/storage/catalog/catalog.js';
import { type JobKind, Jobs } from '../../../src/storage/catalog/jobs.js';
import type { Database } from '../../../src/storage/database/database.js';
import { catalogs, onEach } from '../../harness/backends.js';
import { at, imageNamed, pendingNamed } from '../../harness/stored-image.js';

let ids = 0;
const newId = () => `id-${++ids}`;

/** The holder of the lease on an upload. */
const leased = ({ id }: PendingFile) => ({ id, token: 'me' });

const stored = (sizeBytes: number): StoredFile['upload'] => ({
  ...imageNamed('a').upload,
  sizeBytes,
  warnings: [{ severity: 'warning', code: 'CONTENT_DIFFERS', filename: 'x', message: 'differs' }],
  blobVersion: '"etag"',
  finalizedAt: 100,
});

const received = (sizeBytes: number, receivedAt: number): ReceivedFile['upload'] => {
  const { finalizedAt: _, problem: __, ...bytes } = stored(sizeBytes);
  return { ...bytes, state: 'received', receivedAt };
};

/** Reserves and finalizes an upload. */
async function upload(catalog: Catalog, datasetId: string, filename: string, sizeBytes = 10): Promise<string> {
  const file = pendingNamed(datasetId, filename);
  await catalog.change(at(datasetId, filename), (group) => reserve(group, file));
  await catalog.change(at(datasetId, filename), (group) => finalize(group, leased(file), stored(sizeBytes)));
  return blobKeyOf(file);
}

onEach(catalogs, (open) => {
  const openDataset = async () => {
    const opened = await open();
    const { accountId } = opened;
    const { id } = await opened.catalog.createDataset({ id: newId(), accountId, name: 'dogs', createdAt: 10 });
    return { ...opened, datasetId: id };
  };

  test('pages return every stored file once, and no other file', async () => {
    const { catalog, datasetId } = await openDataset();
    const names = [...'aAézeè猫🚂_'].map((stem) => `${stem}.jpg`);
    names.push('a.txt', 'a 1.jpg', 'z.mp4', `"'.txt`);
    for (const name of names) await upload(catalog, datasetId, name);
    await catalog.change(at(datasetId, 'b.jpg'), (group) => reserve(group, pendingNamed(datasetId, 'b.jpg')));
    const rejected = pendingNamed(datasetId, 'c.jpg');
    const problem = { severity: 'error', code: 'IMAGE_CORRUPT', filename: 'c.jpg', message: 'broken' } as const;
    await catalog.change(at(datasetId, 'c.jpg'), (group) => [
      ...group,
      { ...rejected, upload: { state: 'rejected', problem, finalizedAt: 5 } },
    ]);
    const walk = async (limit: number, kind?: FileKind) => {
      const found: string[] = [];
      for (let after = ''; ; after = found.at(-1)!) {
        const page = await catalog.storedFilesAfter({ datasetId, after, kind, limit });
        expect(page.length).toBeLessThanOrEqual(limit);
        found.push(...page.map(({ filename }) => filename));
        expect(found.length).toBeLessThanOrEqual(names.length);
        if (page.length === 0) return found;
      }
    };
    const inOrder = await walk(100);
    expect(inOrder.toSorted()).toEqual(names.toSorted());
    for (const limit of [1, 3, names.length]) expect(await walk(limit)).toEqual(inOrder);
    for (const kind of ['image', 'video', 'caption'] as const) {
      expect(await walk(2, kind)).toEqual(inOrder.filter((name) => mediaTypeOf(name)?.kind === kind));
    }
  });

  test('reads a file as it was written, in every state', async () => {
    const { catalog, accountId, datasetId } = await openDataset();
    const open = pendingNamed(datasetId, 'a.jpg');
    const good: DatasetFile = { ...pendingNamed(datasetId, 'b "1" é.jpg'), upload: { ...stored(2 ** 40), addedIn: 1 } };
    const bad: DatasetFile = {
      ...pendingNamed(datasetId, 'c.jpg'),
      upload: {
        state: 'rejected',
        problem: { severity: 'error', code: 'IMAGE_CORRUPT', filename: 'c.jpg', message: 'broken' },
        finalizedAt: 5,
      },
    };
    const unchecked: DatasetFile = { ...pendingNamed(datasetId, 'd.mp4'), upload: received(7, 3) };
    const { problem } = bad.upload as { problem: ErrorProblem };
    const damaged: DatasetFile = { ...pendingNamed(datasetId, 'f.jpg'), upload: { ...stored(5), problem, addedIn: 1 } };
    const all = [open, good, bad, unchecked, damaged];
    for (const file of all) {
      await catalog.change(at(datasetId, file.filename), (group) => [...group, file]);
      expect(await catalog.file(file.id)).toEqual(file);
    }
    const byName = (a: DatasetFile, b: DatasetFile) => (a.filename < b.filename ? -1 : 1);
    expect((await catalog.files(datasetId)).sort(byName)).toEqual(all);
    const contents = await catalog.contents({ accountId, id: datasetId });
    expect([...contents!.files].sort(byName)).toEqual(all);
    expect(await catalog.contents({ accountId: 'a stranger', id: datasetId })).toBeUndefined();
    expect(await catalog.storedFile({ datasetId, filename: good.filename })).toEqual(good);
    expect(await catalog.storedFile({ datasetId, filename: 'a.jpg' })).toBeUndefined();
  });

  test('the first answer of a model for a file is kept when another process records one too', async () => {
    const { catalog, database, accountId, datasetId } = await openDataset();
    const runs = new CaptionRuns(database, catalog.changes);
    const owned = { id: 'r', account_id: accountId, dataset_id: datasetId, token_id: null, started_at: 1 };
    const begun = { state: 'running', ended_at: null, reason: null, busy_until: null, streak: 0 } as const;
    const options = { trigger: '', leaveOut: [], frames: 1, maxTokens: 1, seed: 1 };
    const asked = { endpoint: 'e', model: 'm', preset: null, prompt: '', options };
    const files = ['a', 'b'].map((id) => ({ id, filename: `${id}.png`, caption: `${id}.txt` }));
    await runs.start({ ...owned, ...begun, ...asked }, files);
    const { file } = (await runs.waiting('a'))!;
    await runs.record(file, { state: 'ready', answer: 'first' }, 2);
    await runs.record(file, { state: 'failed', outcome: 'unreachable' }, 3);
    expect((await runs.list(datasetId))[0]?.counts).toEqual({ ready: 1, waiting: 1 });
  });

  test('a stem has one name for each extension, however a further one is added', async () => {
    const { catalog, accountId, datasetId } = await openDataset();
    const reserveLink = (filename: string) => {
      const file = pendingNamed(datasetId, filename);
      const link = { ...file, upload: { ...file.upload, via: 'link', expectedBytes: 1 } } as const;
      return catalog.change(at(datasetId, filename), (group) => reserve(group, link));
    };
    const reserveDirect = (filename: string) =>
      catalog.reserveDirect({ accountId, file: pendingNamed(datasetId, filename) });
    for (const extension of Object.keys(MEDIA)) await reserveLink(`a${extension}`);
    const error = { code: 'invalid_name', message: expect.stringMatching(/ 21 names .*a\.TXT/) };
    for (const add of [reserveLink, reserveDirect]) {
      await expect(add('a.TXT')).rejects.toMatchObject(error);
      // Another stem, and a name that it has.
      for (const name of ['b.TXT', 'a.txt']) await add(name);
    }
    await catalog.change(at(datasetId, 'a.jpg'), (group) => remove(group, 'a.jpg'));
    await reserveDirect('a.TXT');
  });

  test('a transition that returns undefined for one stem changes no stem', async () => {
    const { catalog, accountId, datasetId } = await openDataset();
    await upload(catalog, datasetId, 'a.txt');
    const before = await catalog.dataset({ accountId, id: datasetId });
    const change = { datasetId, filenames: ['a.txt', 'b.txt'], now: 99, isActivity: true };
    const outcome = await catalog.change(change, (group, stem) => (stem === 'a' ? [] : remove(group, 'b.txt')));
    expect(outcome).toBeUndefined();
    expect(await catalog.dataset({ accountId, id: datasetId })).toEqual(before);
    expect(await catalog.files(datasetId)).toHaveLength(1);
  });

  test('a commit whose answer is lost is announced in this process, too', async () => {
    const { database, datasetId } = await openDataset();
    const transact: Database['transact'] = (options, work) =>
      database.transact(options, work).then(() => Promise.reject(new Error('lost')));
    const catalog = new Catalog({ ...database, transact }, { blobGrace: 0 });
    const announced: unknown[] = [];
    catalog.changes.onAnyChange((...change) => announced.push(change.slice(0, 2)));
    await expect(upload(catalog, datasetId, 'a.jpg')).rejects.toThrow('lost');
    expect(announced).toEqual([[datasetId, ['a.jpg']]]);
  });

  test('a read during a change returns a dataset and its files from one snapshot', async () => {
    const { catalog, accountId, datasetId } = await openDataset();
    let isOver = false;
    const uploads = Array.from({ length: 4 }, async (_, i) => {
      for (let turn = 0; turn < 5; turn++) await upload(catalog, datasetId, `${i}.${turn % 2 === 0 ? 'jpg' : 'txt'}`);
    });
    const reads = (async () => {
      const wrong: unknown[] = [];
      while (!isOver) {
        const { dataset, files } = (await catalog.contents({ accountId, id: datasetId }))!;
        const counted = datasetCountsOf(files, dataset.updatedAt);
        if (!isDeepStrictEqual(dataset.counts, counted)) wrong.push({ stored: dataset.counts, counted });
      }
      return wrong;
    })();
    await Promise.all(uploads);
    isOver = true;
    expect(await reads).toEqual([]);
  });

  test('enqueues the check of a received file once, and a change that is cancelled none', async () => {
    const { catalog, accountId, database, datasetId } = await openDataset();
    const jobs = new Jobs(database);
    const claim = (kind: JobKind, now: number) => {
      const lease = { now, until: now + 1_000_000_000, token: newId() };
      return jobs.claim({ kind, accountId }, lease);
    };
    const file = { ...pendingNamed(datasetId, 'a.mp4'), upload: received(1, 30) };
    await catalog.change(at(datasetId, 'a.mp4'), () => undefined);
    expect(await claim('check-file', 100)).toBeUndefined();
    await catalog.change(at(datasetId, 'a.mp4'), () => [file]);
    expect(await claim('check-file', 49)).toBeUndefined();
    expect(await claim('check-file', 50)).toMatchObject({ key: file.id, generation: 0 });
    const warned = { ...file, upload: { ...file.upload, warnings: [] } };
    await catalog.change(at(datasetId, 'a.mp4'), () => [warned]);
    expect(await claim('check-file', 1_000_000_050)).toMatchObject({ key: file.id, generation: 0 });
    // Cleanup ends pending uploads only: the bytes of a received file must stay.
    expect(await catalog.expiredLeases(800)).toEqual([]);
  });
});
