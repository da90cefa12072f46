import { createHash } from 'node:crypto';
import { link, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import { makeThumbnail } from '../src/dataset/inspect/image/thumbnail.js';
import { thumbnailKeyOf } from '../src/service/download/thumbnails.js';
import { blobKeyOf } from '../src/storage/blobs/blobs.js';
import { DiskBlobs } from '../src/storage/blobs/disk/disk-blobs.js';
import { CAPTION_BYTES, IMAGE_BYTES } from './fill.js';

/** As the service makes them. */
const THUMBNAIL_PIXELS = 320;

const CAPTION = 'a signal beside the track, at dusk, in the rain,';

/**
 * Writes the bytes of the files that `fillCatalog` inserted: hard links to a few images, with their thumbnails and placeholders,
 * and a different caption for each.
 *
 * @param images at most `IMAGE_BYTES` each; they are padded with zeros, which decoders ignore
 */
export async function fillBlobs(dataFolder: string, images: readonly Buffer[]): Promise<void> {
  const blobs = await DiskBlobs.open(join(dataFolder, 'blobs'));
  const stored = await Promise.all(
    images.map(async (bytes, i) => {
      const path = join(dataFolder, `image-${i}`);
      const padded = Buffer.concat([bytes, Buffer.alloc(IMAGE_BYTES - bytes.length)]);
      await writeFile(path, padded);
      const { webp, thumbhash } = await makeThumbnail({ path, maxPixels: THUMBNAIL_PIXELS });
      await writeFile(thumbnailKeyOf(path), webp);
      return { path, sha256: sha256Of(padded), thumbhash };
    }),
  );
  const db = new DatabaseSync(join(dataFolder, 'catalog.sqlite'));
  const files = db.prepare('select id, dataset_id as datasetId, kind from file').all() as unknown as FilledFile[];
  const update = db.prepare('update file set sha256 = ?, thumbhash = ? where id = ?');
  db.exec('begin');
  for (const [i, file] of files.entries()) {
    const path = blobs.pathOf(blobKeyOf(file));
    if (file.kind === 'caption') {
      const caption = Buffer.from(`${CAPTION} ${i}`.padEnd(CAPTION_BYTES));
      await writeFile(path, caption);
      update.run(sha256Of(caption), null, file.id);
    } else {
      const image = stored[i % stored.length]!;
      await link(image.path, path);
      await link(thumbnailKeyOf(image.path), blobs.pathOf(thumbnailKeyOf(blobKeyOf(file))));
      update.run(image.sha256, image.thumbhash, file.id);
    }
  }
  db.exec('commit');
  db.close();
  await blobs.close();
}

interface FilledFile {
  readonly id: string;
  readonly datasetId: string;
  readonly kind: string;
}

function sha256Of(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
