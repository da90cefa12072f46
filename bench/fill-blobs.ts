import { link, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { blobKeyOf } from '../src/storage/blobs.js';
import { blobPathOf, DiskBlobs } from '../src/storage/disk-blobs.js';
import { CAPTION_BYTES, IMAGE_BYTES } from './fill.js';

const CAPTION = 'a photograph of a signal beside the track, at dusk, in the rain';

/**
 * Puts bytes behind the images and captions with which `fillCatalog` filled a folder: the same few images and one caption
 * under all of their names, by hard links.
 *
 * @param images of no more than `IMAGE_BYTES` each; zeros follow them, which no decoder reads
 */
export async function linkBlobs(dataFolder: string, images: readonly Buffer[]): Promise<void> {
  const root = join(dataFolder, 'blobs');
  await (await DiskBlobs.open(root)).close();
  const keep = async (name: string, bytes: Buffer, size: number) => {
    const path = join(dataFolder, name);
    await writeFile(path, Buffer.concat([bytes, Buffer.alloc(size - bytes.length, name === 'caption' ? ' ' : 0)]));
    return path;
  };
  const caption = await keep('caption', Buffer.from(CAPTION), CAPTION_BYTES);
  const pictures = await Promise.all(images.map((bytes, i) => keep(`image-${i}`, bytes, IMAGE_BYTES)));
  const db = new DatabaseSync(join(dataFolder, 'catalog.sqlite'));
  const files = db.prepare('select id, dataset_id as datasetId, kind from file').all() as unknown as FilledFile[];
  db.close();
  for (const [i, file] of files.entries()) {
    const source = file.kind === 'caption' ? caption : pictures[i % pictures.length]!;
    await link(source, blobPathOf(root, blobKeyOf(file)));
  }
}

interface FilledFile {
  readonly id: string;
  readonly datasetId: string;
  readonly kind: string;
}
