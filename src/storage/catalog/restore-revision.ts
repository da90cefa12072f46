import { stemGroupsOf } from '../../dataset/counts.js';
import type { Author, Micros } from '../../dataset/dataset.js';
import {
  differencesBetween,
  type FileDifference,
  filesIn,
  restoreStem,
  reverse,
  type VersionedFile,
} from '../../dataset/history/revisions.js';
import type { StemGroup } from '../../dataset/upload-transitions.js';
import type { Database } from '../database/database.js';
import { type ChangedDataset, type ChangeOptions, changeFiles, type Restore } from './file-changes.js';
import { Revisions } from './history/revisions.js';

export interface RevisionOfDataset {
  readonly datasetId: string;
  readonly number: number;
  readonly author: Author;
  readonly now: Micros;
}

/**
 * Restores the stored files of a revision, as a new revision. Uploads in progress stay.
 *
 * @returns `undefined` if the dataset or the revision does not exist
 * @throws ServiceError `quota_exceeded`
 */
export function restoreRevision(
  db: Database,
  { datasetId, number, author, now }: RevisionOfDataset,
  options: ChangeOptions,
): Promise<ChangedDataset | undefined> {
  const revisions = new Revisions(db);
  let target = new Map<string, VersionedFile[]>();
  const read: Restore['read'] = async (send) => {
    const { kept, files } = await revisions.versions({ datasetId, from: number, to: number }, send);
    target = stemGroupsOf(files);
    return kept.has(number) ? files.map(({ filename }) => filename) : undefined;
  };
  const change = { datasetId, filenames: [], now, isActivity: true, author, isWholeDataset: true };
  const transition = (group: StemGroup, stem: string) => restoreStem(group, target.get(stem) ?? []);
  return changeFiles(db, { ...change, restore: { restoredFrom: number, read } }, transition, options);
}

/**
 * Reverses the changes of a revision, as a new revision. Files that were changed again since stay.
 *
 * @returns the names of the files of both kinds; `undefined` if the dataset, the revision or the one before does not exist
 * @throws ServiceError `quota_exceeded`
 */
export async function undoRevision(
  db: Database,
  { datasetId, number, author, now }: RevisionOfDataset,
  options: ChangeOptions,
): Promise<{ dataset: ChangedDataset; undone: string[]; kept: string[] } | undefined> {
  const before = number - 1;
  const revisions = new Revisions(db);
  let differences: FileDifference[] = [];
  let byStem = new Map<string, FileDifference[]>();
  const read: Restore['read'] = async (send) => {
    const { kept, files } = await revisions.versions({ datasetId, from: before, to: number }, send);
    differences = differencesBetween(filesIn(files, before), filesIn(files, number));
    byStem = stemGroupsOf(differences);
    const areKept = kept.has(number) && (before === 0 || kept.has(before));
    return areKept ? differences.map(({ filename }) => filename) : undefined;
  };
  const kept = new Set<string>();
  const transition = (group: StemGroup, stem: string) =>
    (byStem.get(stem) ?? []).reduce<StemGroup>((current, difference) => {
      const next = reverse(current, difference);
      if (next === undefined) kept.add(difference.filename);
      else kept.delete(difference.filename);
      return next ?? current;
    }, group);
  const change = { datasetId, filenames: [], now, isActivity: true, author };
  const dataset = await changeFiles(db, { ...change, restore: { restoredFrom: number, read } }, transition, options);
  if (dataset === undefined) return undefined;
  const filenames = differences.map(({ filename }) => filename);
  return {
    dataset,
    undone: filenames.filter((filename) => !kept.has(filename)),
    kept: filenames.filter((filename) => kept.has(filename)),
  };
}
