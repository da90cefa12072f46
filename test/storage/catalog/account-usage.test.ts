import { describe, expect, test } from 'vitest';
import type { DatasetFile } from '../../../src/dataset/dataset.js';
import { finalize, releaseLease, remove, reserve } from '../../../src/dataset/upload-transitions.js';
import { NO_LIMITS } from '../../../src/storage/catalog/accounts.js';
import { Catalog } from '../../../src/storage/catalog/catalog.js';
import { laptop } from '../../harness/author.js';
import { catalogs, onEach } from '../../harness/backends.js';
import { at, imageNamed, pendingNamed } from '../../harness/stored-image.js';

let ids = 0;
const newId = () => `usage-${++ids}`;

const pending = (datasetId: string, filename: string, expectedBytes: number | null) =>
  pendingNamed(datasetId, filename, { via: expectedBytes === null ? 'direct' : 'link', expectedBytes });

const stored = (sizeBytes: number) => ({ ...imageNamed('a').upload, sizeBytes, finalizedAt: 100 });

/** Reserves, and then finalizes, an upload of a known or unknown size. */
async function upload(catalog: Catalog, key: { accountId: string; id: string }, filename: string, sizeBytes: number) {
  const file = pending(key.id, filename, null);
  await catalog.reserveDirect({ accountId: key.accountId, file });
  const holder = { id: file.id, token: 'me' };
  await catalog
    .change(at(key.id, filename), (group) => finalize(group, holder, stored(sizeBytes)))
    .catch(async (error) => {
      await catalog.change(at(key.id, filename), (group) => releaseLease(group, holder));
      throw error;
    });
}

/** The messages of the changes that a limit rejects. */
async function rejectionsOf(work: readonly Promise<unknown>[]): Promise<string[]> {
  const settled = await Promise.allSettled(work);
  const errors = settled.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
  for (const error of errors) expect(error).toMatchObject({ code: 'quota_exceeded' });
  return errors.map(({ message }) => message);
}

onEach(catalogs, (open) => {
  test("the totals of an account are not touched by another account's id of a dataset", async () => {
    const { catalog, accounts, accountId } = await open();
    const key = { accountId, id: newId() };
    await catalog.createDataset({ ...key, name: 'mine', createdAt: 1 });
    await upload(catalog, key, 'a.txt', 10);
    const stranger = (await accounts.grantOf((await accounts.createToken('stranger', 1)).token))!.accountId;
    const file = pending(key.id, 'b.txt', null);
    expect(await catalog.reserveDirect({ accountId: stranger, file })).toBeUndefined();
    expect(await catalog.deleteDataset({ accountId: stranger, id: key.id }, 50)).toBe(false);
    expect(await accounts.usage(stranger)).toMatchObject({ datasets: 0, files: 0, bytes: 0 });
    expect(await accounts.usage(accountId)).toMatchObject({ datasets: 1, files: 1, bytes: 10 });
  });

  describe('the limits of an account', () => {
    test('do not count the bytes of links that have expired against other files', async () => {
      const { accounts, accountId, database } = await open();
      const catalog = new Catalog(database, { blobGrace: 0, accountLimits: { ...NO_LIMITS, bytes: 100 } });
      const [one, other] = [newId(), newId()].map((id) => ({ accountId, id }));
      for (const key of [one!, other!]) await catalog.createDataset({ ...key, name: key.id, createdAt: 1 });
      const link = (datasetId: string, filename: string, until: { expiresAt: number; leaseUntil: number | null }) => {
        const file = pending(datasetId, filename, 30);
        return { ...file, upload: { ...file.upload, ...until, leaseToken: until.leaseUntil === null ? null : 'me' } };
      };
      const add = (file: ReturnType<typeof pending>, now: number) =>
        catalog.change({ ...at(file.datasetId, file.filename), now }, (group) => reserve(group, file));
      await add(link(one!.id, 'a.jpg', { expiresAt: 900, leaseUntil: null }), 50);
      await add(link(other!.id, 'a.jpg', { expiresAt: 900, leaseUntil: null }), 50);
      await add(link(other!.id, 'a.txt', { expiresAt: 900, leaseUntil: 2000 }), 50);
      const late = link(one!.id, 'b.jpg', { expiresAt: 5000, leaseUntil: null });
      const full = 'limit of 100 bytes (--account-bytes). Delete files that are no longer needed';
      const message = expect.stringContaining(full);
      await expect(add(late, 899)).rejects.toMatchObject({ code: 'quota_exceeded', message });
      expect(await accounts.usage(accountId)).toMatchObject({ bytes: 90 });
      await catalog.endReservations(899);
      expect(await accounts.usage(accountId)).toMatchObject({ bytes: 90 });
      await catalog.endReservations(900);
      await add(late, 900);
      // The lease of an upload in flight outlasts its link.
      expect(await accounts.usage(accountId)).toMatchObject({ files: 4, bytes: 60 });
      expect((await catalog.files(one!.id)).map(({ upload }) => upload.state)).toEqual(['pending', 'pending']);
      await add(link(one!.id, 'c.jpg', { expiresAt: 5000, leaseUntil: null }), 901);
      const fourth = link(one!.id, 'd.jpg', { expiresAt: 5000, leaseUntil: null });
      await expect(add(fourth, 901)).rejects.toMatchObject({ code: 'quota_exceeded' });
    });

    test('hold for changes at once', async () => {
      const { accounts, accountId, database } = await open();
      const accountLimits = { ...NO_LIMITS, datasets: 3, files: 5, bytes: 100 };
      // Two catalogs, as two instances on one database have them.
      const instances = [0, 1].map(() => new Catalog(database, { blobGrace: 0, accountLimits }));
      const keys = Array.from({ length: 8 }, () => ({ accountId, id: newId() }));
      const created = keys.map((key, i) => instances[i % 2]!.createDataset({ ...key, name: key.id, createdAt: 1 }));
      expect(await rejectionsOf(created)).toEqual(Array(5).fill(expect.stringContaining('limit of 3 datasets.')));

      const mine = (await instances[0]!.datasets({ accountId })).map(({ id }) => ({ accountId, id }));
      const uploads = Array.from({ length: 9 }, (_, i) => upload(instances[i % 2]!, mine[i % 3]!, `${i}.txt`, 1));
      expect(await rejectionsOf(uploads)).toEqual(Array(4).fill(expect.stringContaining('limit of 5 files.')));
      expect(await accounts.usage(accountId)).toMatchObject({ datasets: 3, files: 5, bytes: 5 });
    });

    test('of one dataset hold for changes at once, and count two uploads of one name as one file', async () => {
      const { accountId, database } = await open();
      const accountLimits = { ...NO_LIMITS, datasetFiles: 5 };
      const instances = [0, 1].map(() => new Catalog(database, { blobGrace: 0, accountLimits }));
      const key = { accountId, id: newId() };
      await instances[0]!.createDataset({ ...key, name: key.id, createdAt: 1 });
      for (const catalog of instances) await upload(catalog, key, '0.txt', 1);
      const uploads = Array.from({ length: 9 }, (_, i) => upload(instances[i % 2]!, key, `${i}.txt`, 1));
      const message = expect.stringMatching(/has 5 files, and one more would exceed .* \(--max-dataset-files\)/);
      expect(await rejectionsOf(uploads)).toEqual(Array(4).fill(message));
      expect(await instances[0]!.files(key.id)).toHaveLength(5);
    });

    test('count bytes once they are known; a replacement counts only what it adds', async () => {
      const { accounts, accountId, database } = await open();
      const accountLimits = { ...NO_LIMITS, files: 2, bytes: 100 };
      const catalog = new Catalog(database, { blobGrace: 0, accountLimits });
      const key = { accountId, id: newId() };
      await catalog.createDataset({ ...key, name: 'dogs', createdAt: 1 });
      await upload(catalog, key, 'a.txt', 60);
      const full = { code: 'quota_exceeded', message: expect.stringContaining('100 bytes (--account-bytes)') };
      await expect(upload(catalog, key, 'b.txt', 41)).rejects.toMatchObject(full);
      await upload(catalog, key, 'b.txt', 40);
      // At both limits, every file can still be replaced by one that is not larger.
      await upload(catalog, key, 'a.txt', 60);
      await expect(upload(catalog, key, 'a.txt', 61)).rejects.toMatchObject(full);
      const link = (bytes: number) =>
        catalog.change(at(key.id, 'a.txt'), (group) => reserve(group, pending(key.id, 'a.txt', bytes)));
      await link(50);
      await expect(link(61)).rejects.toMatchObject(full);
      const files: DatasetFile[] = await catalog.files(key.id);
      expect(files.filter(({ upload }) => upload.state === 'stored')).toHaveLength(2);
      expect(await accounts.usage(accountId)).toMatchObject({ datasets: 1, files: 2, bytes: 100 });
      // A restore counts too.
      await catalog.change(at(key.id, 'a.txt'), (group) => remove(group, 'a.txt'));
      await upload(catalog, key, 'c.txt', 1);
      const restore = { datasetId: key.id, number: 1, author: { ...laptop, how: 'restore' }, now: 60 } as const;
      await upload(catalog, key, 'b.txt', 99);
      await expect(catalog.restore(restore)).rejects.toMatchObject(full);
    });
  });
});
