import { setMaxListeners } from 'node:events';
import { forEachConcurrent } from '../../for-each-concurrent.js';
import type { BlobInventory } from '../../storage/blobs/inventory.js';
import {
  completeFilesAfter,
  type FileToCheck,
  filesById,
  pastDatasetIds,
  pastFilesAfter,
} from '../../storage/catalog/catalog-check.js';
import type { Database } from '../../storage/database/database.js';
import { fetchIntact } from '../check/fetch-intact.js';
import type { CheckState, LostFile } from './findings.js';

/** Files read from the catalog at a time, and between two records of progress. */
const FILES_PER_PAGE = 100;

/** Enough to hide the latency of a request. */
const MAX_CONCURRENT_READS = 8;

/**
 * Reads the bytes of all files, or in the phase `past files` of those that only the history has, in the order of their ids,
 * and compares them with their SHA-256.
 */
export async function checkBytes(
  { db, inventory }: { db: Database; inventory: BlobInventory },
  options: {
    from: CheckState;
    signal: AbortSignal;
    onFile: (state: CheckState) => void;
    record: (lost: readonly LostFile[], state: CheckState) => Promise<void>;
  },
): Promise<CheckState> {
  const { signal, onFile, record } = options;
  // Every read adds a listener.
  setMaxListeners(0, signal);
  let state = options.from;
  const isPast = state.phase === 'past files';
  const nextFiles = isPast ? pastFilesAfter : completeFilesAfter;
  for (;;) {
    const page = await nextFiles(db, { after: state.after, limit: FILES_PER_PAGE });
    const lost: LostFile[] = [];
    let { files, bytes } = state;
    await forEachConcurrent(page, MAX_CONCURRENT_READS, async (next) => {
      signal.throwIfAborted();
      const found = await lossOf(next, inventory, signal);
      if (found !== undefined) lost.push({ ...found, isPast });
      files++;
      bytes += next.file.upload.sizeBytes;
      onFile({ ...state, files, bytes });
    });
    signal.throwIfAborted();
    state = { ...state, files, bytes, after: page.at(-1)?.file.id ?? state.after };
    await record(await stillNamed(db, lost), state);
    if (page.length < FILES_PER_PAGE) return state;
  }
}

async function lossOf(
  { file, datasetName }: FileToCheck,
  inventory: BlobInventory,
  signal: AbortSignal,
): Promise<Omit<LostFile, 'isPast'> | undefined> {
  const fetched = await fetchIntact(inventory, file, { signal });
  if ('blob' in fetched) {
    await fetched.blob.discard();
    return undefined;
  }
  const { id: fileId, datasetId, filename, upload } = file;
  const { sizeBytes, sha256 } = upload;
  const kind = fetched.isMissing ? 'missing' : 'damaged';
  return { kind, fileId, datasetId, datasetName, filename, sizeBytes, sha256, problem: fetched.problem };
}

/** Without those that a running service has removed meanwhile: it deletes the row before the bytes. */
async function stillNamed(db: Database, lost: readonly LostFile[]): Promise<LostFile[]> {
  const ids = lost.map(({ fileId }) => fileId);
  const found = await filesById(db, ids);
  const past = await pastDatasetIds(db, ids);
  const isComplete = (state: string | undefined) => state === 'received' || state === 'stored';
  return lost.filter(({ fileId }) => isComplete(found.get(fileId)?.upload.state) || past.has(fileId));
}
