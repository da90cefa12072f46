import { createHash } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import type { BodyOf } from '../api/routes.js';
import type { WireDuplicateGroup, WireDuplicates } from '../api/schemas.js';
import { type Micros, MICROS_PER_SECOND, type StoredFile } from '../dataset/dataset.js';
import type { DuplicateGroup } from '../dataset/duplicates/duplicate-groups.js';
import type { Appearance } from '../dataset/duplicates/perceptual-hash.js';
import { normalizedFilename } from '../dataset/names.js';
import { forEachConcurrent } from '../for-each-concurrent.js';
import type { Catalog } from '../storage/catalog/catalog.js';
import { type Comparable, HASH_JOB } from '../storage/catalog/perceptual-hashes.js';
import { type DatasetKey, fileNotFound, findRecord } from './datasets.js';
import type { ServiceDependencies } from './dependencies.js';
import type { Thumbnails } from './download/thumbnails.js';
import type { JobHandler } from './jobs/job-runner.js';

/** How long other requests may wait for a comparison of twenty thousand files. */
const MAX_BLOCK_MS = 10;

/** @throws ServiceError `dataset_not_found`, `unavailable` if many datasets are being read */
export async function duplicatesIn(catalog: Catalog, key: DatasetKey): Promise<WireDuplicates> {
  await findRecord(catalog, key);
  // Loaded late: its tables take time that a start does not need.
  const { duplicateGroups } = await import('../dataset/duplicates/duplicate-groups.js');
  return catalog.readMany(key.accountId, async () => {
    const { files, pending, decisions } = await catalog.hashes.comparable(key.id);
    const groups: WireDuplicateGroup[] = [];
    let begun = performance.now();
    for (const group of duplicateGroups(files, differencesIn(decisions))) {
      if (group !== undefined) groups.push(groupToWire(group));
      if (performance.now() - begun < MAX_BLOCK_MS) continue;
      await turn();
      begun = performance.now();
    }
    return { groups, pending };
  });
}

function groupToWire({ keeper, reason, members }: DuplicateGroup): WireDuplicateGroup {
  const others = members.map(({ file: { filename, pixels, sizeBytes }, kind, distance }) => {
    return { filename, kind, distance, pixels, size_bytes: sizeBytes };
  });
  return { keeper: keeper.filename, reason, members: others };
}

/** Remembers that the bytes of files differ, or forgets a decision. @throws ServiceError `dataset_not_found`, `file_not_found` */
export async function decideDuplicates(
  catalog: Catalog,
  key: DatasetKey,
  { filenames: given, different: areDifferent }: BodyOf<'duplicates.decide'>,
): Promise<void> {
  await findRecord(catalog, key);
  const filenames = given.map(normalizedFilename);
  const found = await catalog.storedFiles({ datasetId: key.id, filenames });
  const missing = filenames.find((name) => !found.some(({ filename }) => filename === name));
  if (missing !== undefined) throw fileNotFound(missing);
  const sha256s = [...new Set(found.map(({ upload }) => upload.sha256))].sort();
  const decision = createHash('sha256').update(sha256s.join(' ')).digest('hex');
  await catalog.hashes.decide(key.id, { decision, sha256s, areDifferent });
}

function differencesIn(decisions: Comparable['decisions']): (a: string, b: string) => boolean {
  const byFile = new Map<string, Set<string>>();
  for (const { decision, sha256 } of decisions) byFile.set(sha256, (byFile.get(sha256) ?? new Set()).add(decision));
  return (a, b) => [...(byFile.get(a) ?? [])].some((decision) => byFile.get(b)?.has(decision));
}

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
