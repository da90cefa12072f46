import type { DatasetWithFiles, TrainyardClient } from '../../../src/client/client.js';
import { uploadQueue } from '../queue/page-queue.js';
import { etagsIn, type QueuedFile } from '../queue/queued-file.js';
import type { CheckedFiles } from './check-files.js';

/** Checked files, compared with the dataset that they would be uploaded to. */
export interface ComparedFiles extends Omit<CheckedFiles, 'files'> {
  /** Files with a new name. */
  readonly added: readonly QueuedFile[];
  /** Files that would replace a file of the same name in the dataset or in the queue. */
  readonly overwriting: readonly QueuedFile[];
  /** Number of files that the dataset has already, with the same bytes. */
  readonly unchanged: number;
}

/** Compares the files with the dataset and the upload queue; without a dataset, all are new. */
export async function compareFiles(
  client: TrainyardClient,
  dataset: DatasetWithFiles | undefined,
  { files, rejected, hidden }: CheckedFiles,
  signal: AbortSignal,
): Promise<ComparedFiles> {
  if (dataset === undefined) return { rejected, hidden, added: files, overwriting: [], unchanged: 0 };
  const existing = new Set(dataset.files.map(({ filename }) => filename));
  const queued = new Set(uploadQueue.unsentNames(dataset.id));
  const etags = etagsIn(dataset);
  const etagOf = (name: string) => (etags.has(name) ? etags.get(name) : null);
  // A file that replaces one in the queue finds it in the dataset when it is sent.
  const versioned = files.map((file) => ({ ...file, etag: queued.has(file.name) ? undefined : etagOf(file.name) }));
  const sameName = versioned.filter(({ name }) => existing.has(name));
  const different = new Set<QueuedFile>(
    sameName.length === 0 ? [] : await client.missing(dataset, sameName, { signal }),
  );
  const isUnchanged = (file: QueuedFile) => existing.has(file.name) && !different.has(file) && !queued.has(file.name);
  const changed = versioned.filter((file) => !isUnchanged(file));
  const isOverwriting = ({ name }: QueuedFile) => existing.has(name) || queued.has(name);
  return {
    rejected,
    hidden,
    added: changed.filter((file) => !isOverwriting(file)),
    overwriting: changed.filter(isOverwriting),
    unchanged: files.length - changed.length,
  };
}
