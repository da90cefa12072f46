import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { type CopyProgress, copyBlobs } from '../../../src/service/transfer/copy.js';
import type { BlobStore } from '../../../src/storage/blobs/blobs.js';
import type { DiskBlobs } from '../../../src/storage/blobs/disk/disk-blobs.js';
import type { ReferencedBlob } from '../../../src/storage/catalog/copy-catalog.js';
import { blobStores, onEach, openDisk, storeBlob } from '../../harness/backends.js';
import { flipBit } from '../../harness/transferring.js';

const bytesOf = (length: number) => Buffer.from(Array.from({ length }, (_, i) => (i * 7 + length) % 256));

/** A folder of blobs, and their rows in a catalog. */
async function sourceWith(sizes: readonly number[]): Promise<{ from: DiskBlobs; blobs: ReferencedBlob[] }> {
  const { blobs: from } = await openDisk();
  const blobs = await Promise.all(sizes.map((size, i) => keep(from, `d1/${10 + i}`, bytesOf(size))));
  return { from, blobs };
}

async function keep(store: BlobStore, key: string, bytes: Buffer): Promise<ReferencedBlob> {
  await storeBlob(store, key, bytes);
  const names = { fileId: key.slice(3), filename: `${key.slice(3)}.jpg`, datasetId: 'd1', datasetName: 'wagons' };
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { key, sizeBytes: bytes.length, sha256, version: null, isKnownLost: false, isReceived: false, ...names };
}

interface CopyOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: CopyProgress) => void;
}

function copy(
  blobs: readonly ReferencedBlob[],
  from: BlobStore,
  to: BlobStore,
  { signal = new AbortController().signal, onProgress }: CopyOptions = {},
) {
  const extent = { files: blobs.length, bytes: blobs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) };
  return copyBlobs(Readable.from([blobs]), { from, to }, { extent, signal, onProgress });
}

onEach(blobStores, (open) => {
  test('copies missing blobs and those of another length, and reports progress', async () => {
    const [{ from, blobs }, { blobs: to, keys }] = [await sourceWith([0, 1, 100_000, 300_000]), await open()];
    const progress: CopyProgress[] = [];
    expect(await copy(blobs.slice(0, 2), from, to)).toEqual({ copiedFiles: 2, copiedBytes: 1, lost: [] });
    await keep(to, 'd1/13', bytesOf(4000));
    const copied = await copy(blobs, from, to, { onProgress: (now) => progress.push(now) });
    expect(copied).toEqual({ copiedFiles: 2, copiedBytes: 400_000, lost: [] });
    expect(progress.at(-1)).toEqual({ totalFiles: 4, totalBytes: 400_001, doneFiles: 4, doneBytes: 400_001 });
    expect(await keys()).toEqual(['10', '11', '12', '13']);
    expect((await buffer((await to.read('d1/13'))!)).equals(bytesOf(300_000))).toBe(true);
  });

  test('does not commit damaged blobs, continues, and reports all of them', async () => {
    const [{ from, blobs }, { blobs: to, keys }] = [await sourceWith([1000, 2000, 3000, 4000]), await open()];
    await flipBit(from.pathOf('d1/11'));
    await from.delete(['d1/12']);
    const shorter = { ...blobs[0]!, sizeBytes: 1001 };
    const longer = { ...blobs[3]!, sizeBytes: 3999 };
    const { lost, copiedFiles } = await copy([shorter, blobs[1]!, blobs[2]!, longer], from, to);
    expect(lost.map(({ filename, reason }) => `${filename} ${reason}`).sort()).toEqual([
      '10.jpg damaged',
      '11.jpg damaged',
      '12.jpg missing',
      '13.jpg damaged',
    ]);
    expect([copiedFiles, await keys()]).toEqual([0, []]);
  });

  test('stops on abort, and leaves only complete blobs', async () => {
    const [{ from, blobs }, { blobs: to }] = [await sourceWith(Array(50).fill(50_000)), await open()];
    const abort = new AbortController();
    const onProgress = () => abort.abort(new Error('enough'));
    await expect(copy(blobs, from, to, { signal: abort.signal, onProgress })).rejects.toThrow('enough');
    const found = await to.find(blobs.map(({ key }) => key));
    expect(found.size).toBeLessThan(50);
    expect([...found.values()].every(({ sizeBytes }) => sizeBytes === 50_000)).toBe(true);
    const { copiedFiles, lost } = await copy(blobs, from, to);
    // What was in flight at the abort may have arrived since.
    expect(copiedFiles).toBeLessThanOrEqual(50 - found.size);
    expect([lost, (await to.find(blobs.map(({ key }) => key))).size]).toEqual([[], 50]);
  });
});
