import {
  claiming,
  claimsOf,
  freeStemFor,
  type NestedGroup,
  nestedGroupsOf,
} from '../../../src/dataset/import/flatten.js';
import { mediaTypeOf, stemOf } from '../../../src/dataset/media.js';
import { groupedBy } from '../../../src/dataset/grouped-by.js';
import type { QueuedFile } from '../queue/queued-file.js';
import type { Candidate } from './check-files.js';
import type { KnownFiles } from './prepare-upload.js';
import { type ChosenFolders, destinationOf, MAIN } from './dropped-folders.js';

/** What happens to files of one name that were dropped together. */
export type ClashChoice = 'both' | 'newest' | 'neither';

/** What happens to a file whose name the dataset has with other bytes. */
export type ExistingChoice = 'replace' | 'keep' | 'both';

export interface UploadChoices {
  readonly folders: ChosenFolders;
  readonly clash: ClashChoice;
  readonly existing: ExistingChoice;
}

const NOTHING_KNOWN: KnownFiles = { names: new Set(), unchanged: new Set(), etagOf: () => null };

/** What an upload would do to each dataset, by the folder that becomes it, as in `destinationOf`. */
export type PlannedUpload = ReadonlyMap<string, DatasetPlan>;

/** Decides which files go where, and under which names. There is always a plan for `MAIN`. */
export function planUpload(
  candidates: readonly Candidate[],
  known: KnownFiles,
  { folders, ...choices }: UploadChoices,
): PlannedUpload {
  const byDestination = groupedBy(candidates, ({ folder }) => destinationOf(folder, folders));
  const plans = new Map([[MAIN, new DatasetPlan(known, choices).add(byDestination.get(MAIN) ?? [])]]);
  for (const [folder, files] of byDestination) {
    if (folder === undefined || folder === MAIN) continue;
    plans.set(folder, new DatasetPlan(NOTHING_KNOWN, choices).add(files));
  }
  return plans;
}

type Group = NestedGroup<Candidate>;

/** The part of a plan that concerns one dataset. */
class DatasetPlan {
  readonly files: QueuedFile[] = [];
  /** The names of all that the dataset will have of the dropped files, with their folders. */
  readonly placed: { folder: string; name: string }[] = [];
  /** Names that stand more than once among the dropped files. */
  readonly clashing: string[] = [];
  /** Names that the dataset has with other bytes. */
  readonly overwriting: string[] = [];
  /** The new names of files that keep both apart. */
  readonly renamed: { from: string; to: string }[] = [];
  /** Number of files that the dataset has already, with the same bytes. */
  unchanged = 0;
  readonly #known: KnownFiles;
  readonly #choices: Omit<UploadChoices, 'folders'>;
  readonly #stems: Set<string>;
  /** Of the pictures and clips that the dataset has. */
  readonly #mediaStems: Set<string>;

  constructor(known: KnownFiles, choices: Omit<UploadChoices, 'folders'>) {
    this.#known = known;
    this.#choices = choices;
    this.#stems = new Set([...known.names].map(stemOf));
    this.#mediaStems = new Set([...known.names].filter(isMedia).map(stemOf));
  }

  add(candidates: readonly Candidate[]): this {
    for (const { name } of candidates) this.#stems.add(stemOf(name));
    for (const groups of groupedBy(nestedGroupsOf(candidates), ([{ name }]) => stemOf(name)).values()) {
      const owners = groupedBy(groups.flatMap(claimsOf), (claim) => claim);
      const isClashing = (group: Group) => claimsOf(group).some((claim) => owners.get(claim)!.length > 1);
      const clashing = groups.filter(isClashing);
      this.#addGroups(groups.filter((group) => !isClashing(group)));
      if (clashing.length > 0) this.#addClashing(clashing);
    }
    return this;
  }

  #addClashing(groups: readonly Group[]): void {
    this.clashing.push(...new Set(groups.map((group) => representativeOf(group))));
    switch (this.#choices.clash) {
      case 'both': {
        const isFree = claiming<Candidate>();
        for (const group of groups) {
          if (isFree(group)) this.#addGroups([group]);
          else if (group.some(({ flat }) => this.#known.unchanged.has(flat))) this.#addGroups([asStored(group)]);
          else this.#rename(group);
        }
        return;
      }
      case 'newest':
        this.#addGroups([groups.reduce((newest, group) => (ageOf(group) > ageOf(newest) ? group : newest))]);
        return;
      case 'neither':
        return;
    }
  }

  /** Adds files under their own names, as far as the choice for existing files allows. */
  #addGroups(groups: readonly Group[]): void {
    const { names, unchanged, etagOf } = this.#known;
    for (const group of groups) {
      const changed = group.filter(({ file }) => !unchanged.has(file));
      const overwriting = changed.filter(({ name }) => names.has(name));
      this.overwriting.push(...overwriting.map(({ name }) => name));
      // Under another name, the caption of a picture of the dataset would be of none.
      const mayRename = group.some(({ name }) => isMedia(name) || !this.#mediaStems.has(stemOf(name)));
      if (overwriting.length > 0 && this.#choices.existing === 'both' && mayRename) {
        this.#rename(group);
        continue;
      }
      this.unchanged += group.length - changed.length;
      // A caption stays out with its picture: the dataset has another one of this name.
      const keepsMedia = this.#choices.existing === 'keep' && overwriting.some(({ name }) => isMedia(name));
      for (const { folder, name, file } of group) {
        const isUnchanged = unchanged.has(file);
        if (!isUnchanged && (keepsMedia || (names.has(name) && this.#choices.existing !== 'replace'))) continue;
        this.placed.push({ folder, name });
        if (!isUnchanged) this.files.push({ ...file, etag: etagOf(name) });
      }
    }
  }

  #rename(group: Group): void {
    const stem = freeStemFor(group, this.#stems);
    this.#stems.add(stem);
    for (const { folder, name, file } of group) {
      const to = stem + name.slice(stemOf(name).length);
      this.placed.push({ folder, name: to });
      this.renamed.push({ from: name, to });
      this.files.push({ ...file, name: to, etag: null });
    }
  }
}

const isMedia = (name: string) => mediaTypeOf(name)?.kind !== 'caption';

/** Dropped once more, files have the names that an earlier upload gave them. */
function asStored([first, ...others]: Group): Group {
  const stored = ({ flat, ...candidate }: Candidate) => ({ ...candidate, flat, name: flat.name, file: flat });
  return [stored(first), ...others.map(stored)];
}

/** The name that stands for a pair: its picture's. */
function representativeOf(group: Group): string {
  return (group.find(({ name }) => isMedia(name)) ?? group[0]).name;
}

function ageOf(group: Group): number {
  return Math.max(...group.map(({ modified }) => modified));
}
