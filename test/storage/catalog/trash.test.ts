import { describe, expect, test } from 'vitest';
import { acceptReceived } from '../../../src/dataset/check-transitions.js';
import type { DatasetFile, PendingFile } from '../../../src/dataset/dataset.js';
import { finalize, receive, reject, remove, reserve, type StemGroup } from '../../../src/dataset/upload-transitions.js';
import { blobKeyOf } from '../../../src/storage/blobs/blobs.js';
import type { Catalog } from '../../../src/storage/catalog/catalog.js';
import { catalogs, onEach } from '../../harness/backends.js';

/** The grace of `catalogs`. */
const GRACE = 1000;
const NOW = 50;
const HOLDER = 'me';

let ids = 0;

/** An upload through a presigned link, whose lease is held. */
function linked(datasetId: string, filename = 'a.mp4'): PendingFile {
  const lease = { leaseUntil: NOW + 900, leaseToken: HOLDER };
  const upload = {
    state: 'pending',
    via: 'presigned',
    expectedBytes: 1,
    expiresAt: 5_000_000,
    ...lease,
  };
  return {
    id: `linked-${++ids}`,
    datasetId,
    filename,
    kind: 'video',
    createdAt: 1,
    upload: upload as PendingFile['upload'],
  };
}

const bytes = {
  ...{ sizeBytes: 1, sha256: 'ab'.repeat(32), contentType: 'video/mp4', warnings: [], blobVersion: 'etag' },
  facts: { kind: 'image', format: 'jpeg', width: 10, height: 20 },
} as const;
const stored = { state: 'stored', ...bytes, finalizedAt: NOW } as const;
const received = { state: 'received', ...bytes, receivedAt: NOW } as const;
const problem = { severity: 'error', code: 'VIDEO_CORRUPT', message: '' } as const;

type Change = (transition: (group: StemGroup) => StemGroup | undefined) => Promise<unknown>;
type Context = {
  catalog: Catalog;
  accountId: string;
  file: PendingFile;
  change: Change;
  endHistory: (now: number) => Promise<void>;
};

const holderOf = ({ id }: DatasetFile) => ({ id, token: HOLDER });

/** The ways in which a file stops being in the catalog. */
const ENDS: [string, (context: Context) => Promise<unknown>][] = [
  ['withdrawn before it arrived', ({ change, file }) => change((group) => remove(group, file.filename))],
  [
    'rejected',
    ({ change, file }) =>
      change((group) => reject(group, holderOf(file), { state: 'rejected', problem, finalizedAt: NOW })),
  ],
  [
    'stored and removed',
    async ({ change, file }) => {
      await change((group) => finalize(group, holderOf(file), stored));
      await change((group) => remove(group, file.filename));
    },
  ],
  [
    'stored and replaced',
    async ({ change, file }) => {
      await change((group) => finalize(group, holderOf(file), stored));
      const other: PendingFile = { ...file, id: `direct-${ids}`, upload: { ...file.upload, via: 'direct' } };
      await change((group) => reserve(group, other));
      await change((group) => finalize(group, holderOf(other), { ...stored, sha256: 'cd'.repeat(32) }));
    },
  ],
  [
    'checked in the background and removed',
    async ({ change, file }) => {
      await change((group) => receive(group, holderOf(file), received));
      await change((group) => acceptReceived(group, file.id, stored));
      await change((group) => remove(group, file.filename));
    },
  ],
  [
    'removed while it was checked',
    async ({ change, file }) => {
      await change((group) => receive(group, holderOf(file), received));
      await change((group) => remove(group, file.filename));
    },
  ],
  [
    'pending when its dataset was deleted',
    ({ catalog, accountId, file }) => catalog.deleteDataset({ accountId, id: file.datasetId }, NOW),
  ],
  [
    'stored when its dataset was deleted',
    async ({ catalog, accountId, change, file }) => {
      await change((group) => finalize(group, holderOf(file), stored));
      await catalog.deleteDataset({ accountId, id: file.datasetId }, NOW);
    },
  ],
];

onEach(catalogs, (open) => {
  const openWith = async (makeFile: (datasetId: string) => PendingFile): Promise<Context> => {
    const { catalog, accountId, endHistory } = await open();
    const { id } = await catalog.createDataset({ id: `d-${++ids}`, accountId, name: 'n', createdAt: 1 });
    const file = makeFile(id);
    const change: Change = async (transition) => {
      const at = { datasetId: id, filenames: [file.filename], now: NOW, isActivity: true };
      expect(await catalog.change(at, transition)).toBeDefined();
    };
    await change((group) => reserve(group, file));
    return { catalog, accountId, file, change, endHistory };
  };

  /** When cleanup looks for the blob, if it runs at these times. */
  const looksAt = async ({ catalog, file }: Context, times: readonly number[]): Promise<number[]> => {
    const looks: number[] = [];
    for (const time of times) {
      const due = await catalog.trash.due(time);
      if (due.includes(blobKeyOf(file))) looks.push(time);
      await catalog.trash.remove(due, time);
    }
    return looks;
  };

  describe.each(ENDS)('the blob of a file that was %s, and is in no revision', (_, end) => {
    test('is deleted once, after the grace period', async () => {
      const context = await openWith(linked);
      await end(context);
      await context.endHistory(NOW);
      expect(await looksAt(context, [NOW + GRACE - 1, NOW + GRACE, NOW + GRACE + 1])).toEqual([NOW + GRACE]);
      expect(await context.catalog.trash.due(Number.MAX_SAFE_INTEGER)).toEqual([]);
    });
  });
});
