import type { DatasetWithFiles, TrainyardClient } from '../../../../src/client/client.js';
import { stemGroupsOf } from '../../../../src/dataset/counts.js';
import { isHiddenPath } from '../../../../src/dataset/import/entry-paths.js';
import { mediaTypeOf } from '../../../../src/dataset/media.js';
import { type PairFile, type PairGroups, provePairs } from '../../../../src/dataset/pairs/pair-faults.js';
import { pairFoldersOf } from '../../../../src/dataset/pairs/pair-folders.js';
import { readCandidates, withoutCollisions } from '../check-files.js';
import type { DroppedFile } from '../dropped-files.js';
import { droppedPairsOf } from '../dropped-folders.js';
import { knownFilesOf } from '../prepare-upload.js';

/** A folder of pairs, as it would be uploaded. */
export type PairsToUpload = NonNullable<Awaited<ReturnType<typeof preparePairUpload>>>;

export type PreparedPart = PairsToUpload['parts'][number];

/**
 * Checks the files of a dropped folder of pairs, and compares them with the datasets of its parts.
 *
 * @param options.datasetId the dataset onto whose page the folder was dropped
 * @returns `null` for other files, and if they belong into that one dataset
 */
export async function preparePairUpload(
  client: TrainyardClient,
  files: readonly DroppedFile[],
  { datasetId, signal }: { readonly datasetId: string | undefined; readonly signal: AbortSignal },
) {
  const dropped = droppedPairsOf(files);
  if (dropped === undefined) return null;
  const target = datasetId === undefined ? undefined : await targetOf(client, datasetId, signal);
  const links = target?.links ?? {};
  const hasTargets = dropped.parts.some(({ part }) => part === 'target');
  if (!hasTargets && target?.links === undefined) return null;
  if (datasetId !== undefined && target === undefined) return null;
  const parts = [];
  for (const { files: droppedFiles, part, folder } of dropped.parts) {
    const linkedId = part === 'target' ? undefined : links[part]?.dataset_id;
    const linked = linkedId === undefined ? undefined : await client.status(linkedId, { signal });
    const dataset = part === 'target' ? target : linked;
    parts.push({ part, folder, dataset, ...(await preparePart(client, dataset, { dropped: droppedFiles, signal })) });
  }
  const targets = parts.find(({ part }) => part === 'target')?.filenames ?? namesIn(target);
  const outside = dropped.outside.filter(({ path }) => !isHiddenPath(path));
  const reason = `It is in none of the folders ${parts.map(({ folder }) => `${folder}/`).join(', ')}.`;
  return {
    folder: dropped.folder,
    /** The training dataset; `undefined` if it is to be made. */
    target,
    parts: parts.map((each) => ({
      ...each,
      /** What will be wrong with the pairs, as far as names tell. */
      proof: each.part === 'target' ? undefined : provePairs(groupsOf(targets), groupsOf(each.filenames), each.part),
    })),
    /** Files that are in no part, or that no dataset accepts. */
    rejected: [...parts.flatMap(({ rejected }) => rejected), ...outside.map(({ path }) => ({ path, reason }))],
    /** Number of files that an operating system or a trainer made. */
    hidden: dropped.outside.length - outside.length + parts.reduce((sum, { hidden }) => sum + hidden, 0),
    /** Why the sub-folders don't make pairs, with what to do. */
    fault: pairFoldersOf(dropped.folders, new Set(Object.keys(links)))?.fault,
  };
}

/** None of the files may be renamed: their names pair them with other folders. Without a dataset, all are new. */
async function preparePart(
  client: TrainyardClient,
  dataset: DatasetWithFiles | undefined,
  { dropped, signal }: { readonly dropped: readonly DroppedFile[]; readonly signal: AbortSignal },
) {
  const { candidates, rejected, hidden } = await readCandidates(dropped, { keepsUnpaired: true });
  const { files, colliding } = withoutCollisions(candidates);
  const { names, unchanged, etagOf } = await knownFilesOf(client, dataset, { files, signal });
  const changed = files.filter((file) => !unchanged.has(file)).map((file) => ({ ...file, etag: etagOf(file.name) }));
  return {
    added: changed.filter(({ name }) => !names.has(name)),
    /** Files that would replace a file of the same name in the dataset or in the queue. */
    overwriting: changed.filter(({ name }) => names.has(name)),
    /** Number of files that the dataset has already, with the same bytes. */
    unchanged: unchanged.size,
    /** The names of all files in the dataset after the upload. */
    filenames: [...new Set([...namesIn(dataset), ...files.map(({ name }) => name)])],
    rejected: [...rejected, ...colliding],
    hidden,
  };
}

/** The training dataset of a page: the dataset itself, or the only one that uses the control or mask dataset. */
async function targetOf(
  client: TrainyardClient,
  datasetId: string,
  signal: AbortSignal,
): Promise<DatasetWithFiles | undefined> {
  const dataset = await client.status(datasetId, { signal });
  if (dataset.role === 'training') return dataset;
  const [user, ...others] = dataset.linked_from ?? [];
  return user === undefined || others.length > 0 ? undefined : client.status(user.id, { signal });
}

/** The files of these names as pairs are judged by them; sizes are known after the upload. */
function groupsOf(filenames: readonly string[]): PairGroups {
  const files = filenames.flatMap((filename): PairFile[] => {
    const type = mediaTypeOf(filename);
    if (type === undefined || type.kind === 'caption') return [];
    return [{ filename, kind: type.kind, upload: { facts: { kind: type.kind, format: type.format } } }];
  });
  return stemGroupsOf(files);
}

/** The files of a dataset, without those that a recheck found damaged. */
function namesIn(dataset: DatasetWithFiles | undefined): string[] {
  return (dataset?.files ?? []).flatMap(({ filename, problem }) => (problem === undefined ? filename : []));
}
