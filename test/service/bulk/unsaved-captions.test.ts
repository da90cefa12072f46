import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { MICROS_PER_SECOND } from '../../../src/dataset/dataset.js';
import { inspect } from '../../../src/dataset/inspect/inspect.js';
import { CaptionWrites } from '../../../src/service/bulk.js';
import type { Inspector, ServiceDependencies } from '../../../src/service/dependencies.js';
import { emptyTrash } from '../../../src/service/jobs/clean-up-jobs.js';
import type { Catalog } from '../../../src/storage/catalog/catalog.js';
import { openPostgres } from '../../../src/storage/database/postgres.js';
import { laptop } from '../../harness/author.js';
import { whyNoPostgres } from '../../harness/available.js';
import { blobStores, catalogOver, onCatalogs } from '../../harness/backends.js';
import { databaseForTest, proxiedForTest } from '../../harness/postgres.js';

const NEW = { ifNoneMatch: '*' } as const;

const NOW = 1_000_000;
const COUNT = 40;
const captions = Array.from({ length: COUNT }, (_, i) => ({
  filename: `${i}.txt`,
  text: `train ${i}`,
  condition: NEW,
}));

/** A service that calls `beforeLast` before the last caption is inspected. More than are written at once are stored by then. */
async function openService({ catalog, accountId }: { catalog: Catalog; accountId: string }) {
  const { blobs, keys } = await blobStores[0]!.open();
  const aborting = new AbortController();
  const last = { before: async () => {} };
  const clock = { now: NOW };
  const inspectLast: Inspector = async (file, { signal }) => {
    if (file.filename === captions.at(-1)?.filename) await last.before();
    signal.throwIfAborted();
    return inspect(file);
  };
  const newId = () => randomUUID().replaceAll('-', '');
  const dependencies = { catalog, blobs, inspect: inspectLast, newId, now: () => clock.now };
  const writes = new CaptionWrites(dependencies as unknown as ServiceDependencies);
  const key = { accountId, id: newId() };
  await catalog.createDataset({ ...key, name: 'dogs', createdAt: 1 });
  return {
    key,
    last,
    clock,
    aborting,
    emptyTrash: () => emptyTrash({ catalog, blobs, now: () => NOW + 3600 * MICROS_PER_SECOND }),
    save: (texts = captions) => writes.save(key, texts, { author: laptop, signal: aborting.signal }),
    keys,
    ids: async () => (await catalog.files(key.id)).map(({ id }) => id),
  };
}

onCatalogs((open) => {
  const opened = async () => {
    const { catalog, accountId } = await open();
    return { ...(await openService({ catalog, accountId })), catalog };
  };

  test.each<[string, (service: Awaited<ReturnType<typeof opened>>) => unknown, string]>([
    ['the client goes', ({ aborting }) => aborting.abort({ code: 'gone' }), 'gone'],
    ['the dataset is deleted', ({ catalog, key }) => catalog.deleteDataset(key, NOW), 'dataset_not_found'],
    ['15 minutes pass', ({ clock }) => (clock.now += 901 * MICROS_PER_SECOND), 'unavailable'],
  ])(
    'if %s while captions are stored, none is saved, and their bytes are deleted with the trash',
    async (_what, happen, code) => {
      const service = await opened();
      service.last.before = async () => {
        expect((await service.keys()).length).toBeGreaterThan(0);
        await happen(service);
      };
      await expect(service.save()).rejects.toMatchObject({ code });
      await service.emptyTrash();
      expect(await service.keys()).toEqual([]);
    },
  );

  test('the bytes of a caption that another one overtakes are deleted with the trash', async () => {
    const service = await opened();
    service.last.before = async () => {
      await service.save([{ filename: '0.txt', text: 'theirs', condition: NEW }]);
    };
    const saved = await service.save();
    expect(saved.captions.map(({ outcome }) => outcome)).toEqual(['conflict', ...Array(COUNT - 1).fill('saved')]);
    await service.emptyTrash();
    expect(await service.keys()).toEqual((await service.ids()).sort());
  });
});

describe.skipIf(whyNoPostgres() !== undefined)('captions whose last response from Postgres is lost', () => {
  const LAST_TRIP = /insert into file[\s\S]*update dataset[\s\S]*commit/;

  test.each([
    ['keep their bytes if it stored them', /COMMIT/, COUNT],
    ['leave none if it did not receive them', undefined, 0],
  ])('%s', async (_what, answer, count) => {
    const { url, proxy } = await proxiedForTest(await databaseForTest());
    const service = await openService(await catalogOver(openPostgres, url));
    service.last.before = async () => proxy.breakAt(LAST_TRIP, answer);
    await expect(service.save()).rejects.toMatchObject({ code: 'unavailable' });
    expect(await service.ids()).toHaveLength(count);
    await service.emptyTrash();
    expect((await service.keys()).sort()).toEqual((await service.ids()).sort());
  });
});
