import { expect, test } from 'vitest';
import { finalize, reject, remove, reserve, type StemGroup } from '../../../src/dataset/upload-transitions.js';
import type { DatasetFile, PendingFile } from '../../../src/dataset/dataset.js';
import { blobKeyOf } from '../../../src/storage/blobs/blobs.js';
import { onCatalogs } from '../../harness/backends.js';
import { imageNamed, pendingNamed } from '../../harness/stored-image.js';

/** The grace of `catalogs`. */
const GRACE = 1000;
const NOW = 50;
const HOLDER = 'me';

/** An upload through a presigned link, whose lease is held. */
const linked = (datasetId: string) =>
  pendingNamed(datasetId, 'a.mp4', { via: 'presigned', expectedBytes: 1, expiresAt: 5_000_000 });

const stored = { ...imageNamed('a').upload, finalizedAt: NOW };
const received = { ...stored, state: 'received', receivedAt: NOW } as const;
const problem = { severity: 'error', code: 'VIDEO_CORRUPT', message: '' } as const;

type Change = (transition: (group: StemGroup) => StemGroup | undefined) => Promise<unknown>;
type Context = { readonly file: PendingFile; readonly change: Change };

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
    'stored and replaced',
    async ({ change, file }) => {
      await change((group) => finalize(group, holderOf(file), stored));
      const other: PendingFile = { ...file, id: 'direct', upload: { ...file.upload, via: 'direct' } };
      await change((group) => reserve(group, other));
      await change((group) => finalize(group, holderOf(other), { ...stored, sha256: 'cd'.repeat(32) }));
    },
  ],
  [
    'removed while it was checked',
    async ({ change, file }) => {
      await change((group) => finalize(group, holderOf(file), received));
      await change((group) => remove(group, file.filename));
    },
  ],
];

onCatalogs((open) => {
  test.each(ENDS)(
    'the blob of a file that was %s, and is in no revision, is deleted once, after the grace',
    async (_, end) => {
      const { catalog, accountId, endHistory } = await open();
      await catalog.createDataset({ id: 'd', accountId, name: 'n', createdAt: 1 });
      const file = linked('d');
      const change: Change = async (transition) => {
        const at = { datasetId: 'd', filenames: [file.filename], now: NOW, isActivity: true };
        expect(await catalog.change(at, transition)).toBeDefined();
      };
      await change((group) => reserve(group, file));
      await end({ file, change });
      await endHistory(NOW);
      const looks: number[] = [];
      for (const time of [NOW + GRACE - 1, NOW + GRACE, NOW + GRACE + 1]) {
        const due = await catalog.trash.due(time);
        if (due.includes(blobKeyOf(file))) looks.push(time);
        await catalog.trash.remove(due, time);
      }
      expect(looks).toEqual([NOW + GRACE]);
      expect(await catalog.trash.due(Number.MAX_SAFE_INTEGER)).toEqual([]);
    },
  );

  test('a blob that is due later by the time that it is removed stays in the trash', async () => {
    const { trash } = (await open()).catalog;
    await trash.add(['d/a'], 10);
    await trash.reschedule(['d/a'], 20);
    await trash.remove(['d/a'], 10);
    expect(await trash.due(20)).toEqual(['d/a']);
  });
});
