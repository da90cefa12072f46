import type { Dataset, DatasetWithFiles, TrainyardClient } from '../../../../src/client/client.js';
import type { LinkSlot, Role } from '../../../../src/dataset/dataset.js';
import { isHiddenPath } from '../../../../src/dataset/import/entry-paths.js';
import { mediaTypeOf, stemOf } from '../../../../src/dataset/media.js';
import {
  type PairFile,
  type PairGroups,
  type PairProof,
  provePairs,
} from '../../../../src/dataset/pairs/pair-faults.js';
import { pairFoldersOf, type PairPart } from '../../../../src/dataset/pairs/pair-folders.js';
import { LINK_SLOTS } from '../../../../src/dataset/pairs/roles.js';
import { messageOf } from '../../../ui/format.js';
import { signOutIfUnauthorized } from '../../../session/client.js';
import { groupedBy } from '../../../grouped-by.js';
import type { QueuedFile } from '../../queue/queued-file.js';
import { type FoundCandidates, readCandidates, type RejectedFile, withoutCollisions } from '../check-files.js';
import type { DroppedFile } from '../dropped-files.js';
import { knownFilesOf } from '../known-files.js';
import type { DroppedPairs, DroppedPart } from './dropped-pairs.js';

/** A folder of pairs, as it would be uploaded. */
export interface PairsToUpload {
  readonly folder: string;
  /** The training dataset; `undefined` if it is to be made. */
  readonly target: DatasetWithFiles | undefined;
  readonly parts: readonly PreparedPart[];
  /** Files that are in no part, or that no dataset accepts. */
  readonly rejected: readonly RejectedFile[];
  /** Number of files that an operating system made. */
  readonly hidden: number;
  /** Why the sub-folders don't make pairs, with what to do. */
  readonly fault: string | undefined;
}

export interface PreparedPart extends Omit<DroppedPart, 'files'> {
  /** The dataset that the files are uploaded to; `undefined` if it is to be made. */
  readonly dataset: DatasetWithFiles | undefined;
  readonly files: PartFiles;
  /** The names of all files in the dataset after the upload. */
  readonly filenames: readonly string[];
  /** What will be wrong with the pairs, as far as names tell; `undefined` for the targets. */
  readonly proof: PairProof | undefined;
}

/** The files of a part, compared with the dataset that they would be uploaded to. */
interface PartFiles extends Pick<FoundCandidates, 'rejected' | 'hidden'> {
  /** Files with a new name. */
  readonly added: readonly QueuedFile[];
  /** Files that would replace a file of the same name in the dataset or in the queue. */
  readonly overwriting: readonly QueuedFile[];
  /** Number of files that the dataset has already, with the same bytes. */
  readonly unchanged: number;
  /** The names of all of them. */
  readonly names: readonly string[];
}

/**
 * Checks the files of a dropped folder of pairs, and compares them with the datasets of its parts.
 *
 * @param datasetId the dataset onto whose page the folder was dropped
 * @returns `undefined` if the files belong into that one dataset
 */
export async function preparePairUpload(
  client: TrainyardClient,
  dropped: DroppedPairs,
  datasetId: string | undefined,
  signal: AbortSignal,
): Promise<PairsToUpload | undefined> {
  const target = datasetId === undefined ? undefined : await targetOf(client, datasetId, signal);
  const links = target?.links ?? {};
  const hasTargets = dropped.parts.some(({ part }) => part === 'target');
  if (!hasTargets && target?.links === undefined) return undefined;
  if (datasetId !== undefined && target === undefined) return undefined;
  const parts: Omit<PreparedPart, 'proof'>[] = [];
  for (const { files: droppedFiles, ...folder } of dropped.parts) {
    const linkedId = folder.part === 'target' ? undefined : links[folder.part]?.dataset_id;
    const linked = linkedId === undefined ? undefined : await client.status(linkedId, { signal });
    const dataset = folder.part === 'target' ? target : linked;
    const files = await preparePart(client, dataset, { dropped: droppedFiles, signal });
    parts.push({ ...folder, dataset, files, filenames: [...new Set([...namesIn(dataset), ...files.names])] });
  }
  const targets = parts.find(({ part }) => part === 'target')?.filenames ?? namesIn(target);
  return {
    folder: dropped.folder,
    target,
    parts: parts.map((each) => ({
      ...each,
      proof: each.part === 'target' ? undefined : provePairs(groupsOf(targets), groupsOf(each.filenames), each.part),
    })),
    ...leftOut(
      dropped,
      parts.map(({ files }) => files),
    ),
    fault: pairFoldersOf(dropped.folders, new Set(Object.keys(links)))?.fault,
  };
}

/** None of the files may be renamed: their names pair them with other folders. Without a dataset, all are new. */
async function preparePart(
  client: TrainyardClient,
  dataset: DatasetWithFiles | undefined,
  { dropped, signal }: { readonly dropped: readonly DroppedFile[]; readonly signal: AbortSignal },
): Promise<PartFiles> {
  const { candidates, rejected, hidden } = await readCandidates(dropped, { keepsUnpaired: true });
  const { files, colliding } = withoutCollisions(candidates);
  const { names, unchanged, etagOf } = await knownFilesOf(client, dataset, { files, signal });
  const changed = files.filter((file) => !unchanged.has(file)).map((file) => ({ ...file, etag: etagOf(file.name) }));
  return {
    added: changed.filter(({ name }) => !names.has(name)),
    overwriting: changed.filter(({ name }) => names.has(name)),
    unchanged: unchanged.size,
    names: files.map(({ name }) => name),
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
  return groupedBy(files, ({ filename }) => stemOf(filename));
}

/** The files of a dataset, without those that a recheck found damaged. */
function namesIn(dataset: DatasetWithFiles | undefined): string[] {
  return (dataset?.files ?? []).flatMap(({ filename, problem }) => (problem === undefined ? filename : []));
}

/** The files of a dropped folder that are uploaded to none of its datasets. */
function leftOut({ parts, outside }: DroppedPairs, compared: readonly PartFiles[]) {
  const seen = outside.filter(({ path }) => !isHiddenPath(path));
  const folders = parts.map(({ folder }) => `${folder}/`).join(', ');
  const reason = `It is in none of the folders ${folders}.`;
  return {
    rejected: [...compared.flatMap(({ rejected }) => rejected), ...seen.map(({ path }) => ({ path, reason }))],
    hidden: outside.length - seen.length + compared.reduce((sum, { hidden }) => sum + hidden, 0),
  };
}

/**
 * Makes the datasets that do not exist yet, and links all to the training dataset. Other links of it stay as they are. After
 * a failure, none of the new datasets is left.
 *
 * @throws Error with the reason, such as a name that is taken
 */
export async function makePairedDatasets(
  client: TrainyardClient,
  existing: DatasetWithFiles | undefined,
  parts: readonly (PreparedPart & { readonly name: string; readonly role: Role })[],
) {
  const byPart = new Map<PairPart, Dataset>();
  const made: Dataset[] = [];
  try {
    for (const { part, name, role, dataset } of parts) {
      const own = dataset ?? (await client.create(name, { role }));
      if (own !== dataset) made.push(own);
      byPart.set(part, own);
    }
    const target = existing ?? byPart.get('target')!;
    if (parts.some(({ part, dataset }) => part !== 'target' && dataset === undefined)) {
      const known = existing?.links ?? {};
      const idOf = (slot: LinkSlot) => byPart.get(slot)?.id ?? known[slot]?.dataset_id ?? null;
      await client.pairs.setLinks(target.id, Object.fromEntries(LINK_SLOTS.map((slot) => [slot, idOf(slot)])));
    }
    return { target, byPart, made };
  } catch (error) {
    // The training dataset comes first: the others can be deleted only while none is linked to them.
    for (const { id } of made) await client.remove(id).catch(() => {});
    signOutIfUnauthorized(error);
    throw new Error(`Nothing was uploaded. ${messageOf(error)}`, { cause: error });
  }
}
