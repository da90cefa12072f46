import { describe, expect, test } from 'vitest';
import { acceptReceived } from '../../../src/dataset/check-transitions.js';
import { DETECTION_MARGIN, type DatasetFile, type PendingFile } from '../../../src/dataset/dataset.js';
import {
  finalize,
  receive,
  reject,
  remove,
  reserve,
  type StemGroup,
  withdrawUploads,
} from '../../../src/dataset/upload-transitions.js';
import { blobKeyOf } from '../../../src/storage/blobs/blobs.js';
import type { Catalog } from '../../../src/storage/catalog/catalog.js';
import { catalogs, onEach } from '../../harness/backends.js';

/** The grace of `catalogs`. */
const GRACE = 1000;
const NOW = 50;
const LINK_UNTIL = 5_000_000;
const DAY = 24 * 3600 * 1_000_000;
const HOLDER = 'me';

let ids = 0;

/** An upload through a presigned link, whose lease is held. */
function linked(datasetId: string, filename = 'a.mp4'): PendingFile {
  const lease = { leaseUntil: NOW + 900, leaseToken: HOLDER };
  const upload = {
    state: 'pending',
    via: 'presigned',
    expectedBytes: 1,
    expiresAt: LINK_UNTIL + DETECTION_MARGIN,
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
  linkUntil: LINK_UNTIL,
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

/** The ways in which a file that came through a link stops being in the catalog. */
const ENDS: [string, (context: Context) => Promise<unknown>][] = [
  ['withdrawn before it arrived', ({ change, file }) => change((group) => remove(group, file.filename))],
  [
    'replaced, retired and withdrawn',
    async ({ change, file }) => {
      const replaced = { at: NOW, isRetired: true };
      const retired = { ...file, upload: { ...file.upload, leaseUntil: null, leaseToken: null, replaced } };
      await change((group) => group.map((other) => (other.id === file.id ? retired : other)));
      await change((group) => withdrawUploads(group, file.filename));
    },
  ],
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
    'stored and replaced by a direct upload',
    async ({ change, file }) => {
      await change((group) => finalize(group, holderOf(file), stored));
      const other: PendingFile = { ...file, id: `direct-${ids}`, upload: { ...file.upload, via: 'direct' } };
      await change((group) => reserve(group, other));
      const { linkUntil: _, ...direct } = stored;
      await change((group) => finalize(group, holderOf(other), direct));
    },
  ],
  [
    'stored and replaced by other bytes',
    async ({ change, file }) => {
      await change((group) => finalize(group, holderOf(file), stored));
      const other: PendingFile = { ...file, id: `direct-${ids}`, upload: { ...file.upload, via: 'direct' } };
      await change((group) => reserve(group, other));
      const { linkUntil: _, ...direct } = stored;
      await change((group) => finalize(group, holderOf(other), { ...direct, sha256: 'cd'.repeat(32) }));
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
      await catalog.trashDeleted();
      const due = await catalog.expiredTrash(time);
      if (due.includes(blobKeyOf(file))) looks.push(time);
      await catalog.removeFromTrash(due, time);
    }
    return looks;
  };

  describe.each(ENDS)('the blob of a file that was %s, and is in no revision', (_, end) => {
    test('is deleted after the grace period, and looked for again until long after its link has ended', async () => {
      const context = await openWith(linked);
      await end(context);
      await context.endHistory(NOW);
      const looks = [NOW + GRACE, LINK_UNTIL, LINK_UNTIL + DAY / 12, LINK_UNTIL + DAY];
      const between = [NOW + GRACE - 1, LINK_UNTIL - 1, LINK_UNTIL + DAY - 1, LINK_UNTIL + 2 * DAY];
      const minutes = LINK_UNTIL + 2 * 60 * 1_000_000;
      const hour = LINK_UNTIL + 3600 * 1_000_000;
      const times = [...looks, ...between, minutes, minutes - 1, hour - 1].sort((a, b) => a - b);
      expect(await looksAt(context, times)).toEqual([
        NOW + GRACE,
        LINK_UNTIL,
        minutes,
        LINK_UNTIL + DAY / 12,
        LINK_UNTIL + DAY,
      ]);
      expect(await context.catalog.expiredTrash(Number.MAX_SAFE_INTEGER)).toEqual([]);
    });

    test('is looked for once if its link has ended long ago', async () => {
      const context = await openWith(linked);
      await end(context);
      await context.endHistory(NOW);
      expect(await looksAt(context, [LINK_UNTIL + 3 * DAY, LINK_UNTIL + 4 * DAY])).toEqual([LINK_UNTIL + 3 * DAY]);
    });
  });

  test('the blob of a file that came through the service is looked for once', async () => {
    const context = await openWith((datasetId) => {
      const file = linked(datasetId);
      return { ...file, upload: { ...file.upload, via: 'link' } };
    });
    const { linkUntil: _, ...direct } = stored;
    await context.change((group) => finalize(group, holderOf(context.file), direct));
    await context.change((group) => remove(group, context.file.filename));
    await context.endHistory(NOW);
    expect(await looksAt(context, [NOW + GRACE, LINK_UNTIL, LINK_UNTIL + DAY])).toEqual([NOW + GRACE]);
  });
});
