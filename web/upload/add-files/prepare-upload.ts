import type { DatasetWithFiles, TrainyardClient } from '../../../src/client/client.js';
import type { ImportChoices } from '../../../src/dataset/import/survey.js';
import { type FoundCandidates, readCandidates } from './check-files.js';
import { type KnownFiles, knownFilesOf } from './known-files.js';
import { type DroppedFolder, droppedFoldersOf } from './dropped-folders.js';
import { commonFolderOf, type DroppedFile } from './dropped-files.js';

/** Dropped files, checked and compared with the dataset that they are added to. */
export interface PreparedUpload extends FoundCandidates {
  /** `undefined` for a new one. */
  readonly dataset: DatasetWithFiles | undefined;
  readonly known: KnownFiles;
  readonly folders: readonly DroppedFolder[];
  /** The folder that all files share; `''` if they share none. */
  readonly commonFolder: string;
  /** The files of an archive are shown before they are added. */
  readonly isArchive: boolean;
}

/** Checks the files, and compares them with the dataset, unless it is a new one. */
export async function prepareUpload(
  client: TrainyardClient,
  files: Promise<readonly DroppedFile[]>,
  { datasetId, choices, signal }: { datasetId: string | undefined; choices: ImportChoices; signal: AbortSignal },
): Promise<PreparedUpload> {
  const [dropped, dataset] = await Promise.all([
    files,
    datasetId === undefined ? undefined : client.status(datasetId, { signal }),
  ]);
  const isArchive = dropped.some(({ packed }) => packed !== undefined);
  const known = dataset?.files.map(({ filename }) => filename);
  // An archive may have texts that are no captions. Files that a person has chosen are what they are.
  const found = await readCandidates(dropped, { choices, known, keepsUnpaired: !isArchive });
  return {
    ...found,
    dataset,
    known: await knownFilesOf(client, dataset, { files: found.candidates.map(({ file }) => file), signal }),
    folders: droppedFoldersOf(found.candidates),
    commonFolder: commonFolderOf(dropped),
    isArchive,
  };
}
