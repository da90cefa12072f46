import { MICROS_PER_SECOND, type Micros, type StoredFile } from '../../dataset/dataset.js';
import type { Appearance } from '../../dataset/duplicates/perceptual-hash.js';
import { forEachConcurrent } from '../../for-each-concurrent.js';
import { HASH_JOB } from '../../storage/catalog/perceptual-hashes.js';
import type { ServiceDependencies } from '../dependencies.js';
import type { Thumbnails } from '../download/thumbnails.js';
import type { JobHandler } from '../jobs/job-runner.js';

/** Clients see them together, and then another dataset of the account has its turn. */
const IMAGES_PER_RUN = 50;

/** Uploads would be slowed down by a fifth. */
const MAX_WAIT_FOR_UPLOADS: Micros = 30 * MICROS_PER_SECOND;

/** One is read and hashed while another is decoded. */
const IMAGES_AT_ONCE = 2;

/**
 * Makes the thumbnails of a dataset's images and clips, and the perceptual hashes of its images. The key is its id. An upload does not wait for it: it
 * takes several times as long as the inspection of a JPEG.
 *
 * @param options.areUploading the job waits for uploads, up to a time
 */
export function hashImagesJob(
  { catalog, now }: Pick<ServiceDependencies, 'catalog' | 'now'>,
  thumbnails: Pick<Thumbnails, 'prepare' | 'kinds'>,
  { areUploading }: { areUploading: () => boolean },
): JobHandler {
  return {
    kind: HASH_JOB,
    // One of each account, if several wait.
    atOnce: 2,
    ofAccount: 1,
    run: async ({ key: datasetId, accountId }, signal) => {
      const files = await catalog.hashes.missing(datasetId, { kinds: await thumbnails.kinds(), limit: IMAGES_PER_RUN });
      if (files.length === 0) return 'done';
      const mayWait = ({ upload }: StoredFile) => upload.finalizedAt > now() - MAX_WAIT_FOR_UPLOADS;
      if (areUploading() && files.every(mayWait)) return { dueAt: now() + MICROS_PER_SECOND };
      const found = new Map<StoredFile, Appearance | undefined>();
      const hashing = forEachConcurrent(files, IMAGES_AT_ONCE, async (file) => {
        found.set(file, await thumbnails.prepare(file, { accountId, signal }));
      });
      // What is found before a failure is not done again.
      await hashing.finally(() => catalog.hashes.record(datasetId, found));
      return { dueAt: now() };
    },
  };
}
