import type { DatasetWithFiles, TrainyardClient } from '../../../src/client/client.js';
import { uploadQueue } from '../queue/upload-queue.js';
import { etagsIn, type QueuedFile } from '../queue/queued-file.js';

/** What a dataset and the upload queue have already, for files that could be added. */
export interface KnownFiles {
  /** The names in the dataset and in the queue. */
  readonly names: ReadonlySet<string>;
  /** The files whose bytes the dataset has already under their names. */
  readonly unchanged: ReadonlySet<QueuedFile>;
  /** The version that a file of this name replaces, as in `QueuedFile`. */
  readonly etagOf: (name: string) => QueuedFile['etag'];
}

/** Compares files with the dataset and the upload queue; without a dataset, all are new. */
export async function knownFilesOf(
  client: TrainyardClient,
  dataset: DatasetWithFiles | undefined,
  { files, signal }: { readonly files: readonly QueuedFile[]; readonly signal: AbortSignal },
): Promise<KnownFiles> {
  if (dataset === undefined) return { names: new Set(), unchanged: new Set(), etagOf: () => null };
  const existing = new Set(dataset.files.map(({ filename }) => filename));
  const queued = new Set(uploadQueue.unsentNames(dataset.id));
  const etags = etagsIn(dataset);
  const sameName = files.filter(({ name }) => existing.has(name));
  const different = new Set(sameName.length === 0 ? [] : await client.missing(dataset, sameName, { signal }));
  return {
    names: new Set([...existing, ...queued]),
    unchanged: new Set(sameName.filter((file) => !different.has(file) && !queued.has(file.name))),
    // A file that replaces one in the queue finds it in the dataset when it is sent.
    etagOf: (name) => (queued.has(name) ? undefined : etags.has(name) ? etags.get(name) : null),
  };
}
