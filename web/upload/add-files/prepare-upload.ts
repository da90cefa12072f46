import type { DatasetWithFiles, TrainyardClient } from '../../../src/client/client.js';
import { type Candidate, readCandidates, type RejectedFile } from './check-files.js';
import { type KnownFiles, knownFilesOf } from './compare-files.js';
import { type DroppedFolder, droppedFoldersOf } from './dropped-folders.js';
import { commonFolderOf, type DroppedFile } from './dropped-files.js';

/** Dropped files, checked and compared with the dataset that they are added to. */
export interface PreparedUpload {
  /** `undefined` for a new one. */
  readonly dataset: DatasetWithFiles | undefined;
  readonly candidates: readonly Candidate[];
  readonly rejected: readonly RejectedFile[];
  /** Number of files that an operating system made. */
  readonly hidden: number;
  readonly known: KnownFiles;
  readonly folders: readonly DroppedFolder[];
  /** The folder that all files share; `''` if they share none. */
  readonly commonFolder: string;
}

/** Checks the files, and compares them with the dataset, unless it is a new one. */
export async function prepareUpload(
  client: TrainyardClient,
  dropped: Promise<readonly DroppedFile[]>,
  datasetId: string | undefined,
  signal: AbortSignal,
): Promise<PreparedUpload> {
  const [dataset, checked] = await Promise.all([
    datasetId === undefined ? undefined : client.status(datasetId, { signal }),
    dropped.then(readCandidates),
  ]);
  const files = checked.candidates.map(({ file }) => file);
  return {
    ...checked,
    dataset,
    known: await knownFilesOf(client, dataset, { files, signal }),
    folders: droppedFoldersOf(checked.candidates),
    commonFolder: commonFolderOf(await dropped),
  };
}
