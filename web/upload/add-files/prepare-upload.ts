import type { DatasetWithFiles, TrainyardClient } from '../../../src/client/client.js';
import { topFolderOf } from '../../../src/dataset/import/entry-paths.js';
import type { ImportChoices } from '../../../src/dataset/import/survey.js';
import { etagsIn, type QueuedFile } from '../queue/queued-file.js';
import { uploadQueue } from '../queue/upload-queue.js';
import { readCandidates } from './check-files.js';
import type { DroppedFile } from './dropped-files.js';
import { droppedFoldersOf } from './dropped-folders.js';

/** Dropped files, checked and compared with the dataset that they are added to. */
export type PreparedUpload = Awaited<ReturnType<typeof prepareUpload>>;

/** Checks the files, and compares them with the dataset, unless it is a new one. */
export async function prepareUpload(
  client: TrainyardClient,
  dropping: Promise<readonly DroppedFile[]>,
  { datasetId, choices, signal }: { datasetId: string | undefined; choices: ImportChoices; signal: AbortSignal },
) {
  const [dropped, dataset] = await Promise.all([
    dropping,
    datasetId === undefined ? undefined : client.status(datasetId, { signal }),
  ]);
  const isArchive = dropped.some(({ packed }) => packed !== undefined);
  const names = dataset?.files.map(({ filename }) => filename);
  // An archive may have texts that are no captions. Files that a person has chosen are what they are.
  const found = await readCandidates(dropped, { choices, known: names, keepsUnpaired: !isArchive });
  const files = found.candidates.flatMap(({ file, flat }) => (flat.name === file.name ? file : [file, flat]));
  const known = await knownFilesOf(client, dataset, { files, signal });
  const folders = droppedFoldersOf(found.candidates);
  return { ...found, dataset, known, folders, commonFolder: topFolderOf(dropped), isArchive };
}

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
