import { mediaTypeOf, stemOf } from '../../../src/dataset/media.js';
import { parseFilename } from '../../../src/dataset/names.js';
import { groupedBy } from '../../grouped-by.js';
import type { QueuedFile } from '../queue/queued-file.js';
import type { Candidate } from './check-files.js';
import type { KnownFiles } from './compare-files.js';
import { destinationOf, type ChosenFolders } from './dropped-folders.js';

/** What happens to files of one name that were dropped together. */
export type ClashChoice = 'both' | 'newest' | 'neither';

/** What happens to a file whose name the dataset has with other bytes. */
export type ExistingChoice = 'replace' | 'keep' | 'both';

export interface UploadChoices {
  readonly folders: ChosenFolders;
  readonly clash: ClashChoice;
  readonly existing: ExistingChoice;
}

/** What an upload would do. */
export interface PlannedUpload {
  /** Files for the dataset of the page, or for the new one. */
  readonly main: readonly QueuedFile[];
  /** Files of folders that become datasets of their own, by the path of the folder. */
  readonly own: ReadonlyMap<string, readonly QueuedFile[]>;
  /** Names that stand more than once among the dropped files. */
  readonly clashing: readonly string[];
  /** Names that the dataset has with other bytes. */
  readonly overwriting: readonly string[];
  /** The new names of files that keep both apart. */
  readonly renamed: readonly { readonly from: string; readonly to: string }[];
  /** Number of files that the dataset has already, with the same bytes. */
  readonly unchanged: number;
}

const NOTHING_KNOWN: KnownFiles = { names: new Set(), unchanged: new Set(), etagOf: () => null };

/** Decides which files go where, and under which names. */
export function planUpload(
  candidates: readonly Candidate[],
  known: KnownFiles,
  { folders, clash, existing }: UploadChoices,
): PlannedUpload {
  const byDestination = groupedBy(candidates, ({ folder }) => {
    const destination = destinationOf(folder, folders);
    return typeof destination === 'object' ? `own ${destination.own}` : destination;
  });
  const plan = (files: readonly Candidate[], of: KnownFiles) => new DatasetPlan(of, { clash, existing }).add(files);
  const main = plan(byDestination.get('main') ?? [], known);
  const own = new Map(
    [...byDestination].flatMap(([destination, files]) =>
      destination?.startsWith('own ') === true ? [[destination.slice(4), plan(files, NOTHING_KNOWN)]] : [],
    ),
  );
  const all = [main, ...own.values()];
  return {
    main: main.files,
    own: new Map([...own].map(([path, { files }]) => [path, files])),
    clashing: all.flatMap(({ clashing }) => clashing),
    overwriting: main.overwriting,
    renamed: all.flatMap(({ renamed }) => renamed),
    unchanged: main.unchanged,
  };
}

/** The files of one folder that have one stem: a picture with its caption. They keep one stem, or the pair would be lost. */
type Group = readonly [Candidate, ...Candidate[]];

/** The part of a plan that concerns one dataset. */
class DatasetPlan {
  readonly files: QueuedFile[] = [];
  readonly clashing: string[] = [];
  readonly overwriting: string[] = [];
  readonly renamed: { from: string; to: string }[] = [];
  unchanged = 0;
  readonly #known: KnownFiles;
  readonly #choices: Omit<UploadChoices, 'folders'>;
  readonly #stems: Set<string>;

  constructor(known: KnownFiles, choices: Omit<UploadChoices, 'folders'>) {
    this.#known = known;
    this.#choices = choices;
    this.#stems = new Set([...known.names].map(stemOf));
  }

  add(candidates: readonly Candidate[]): this {
    for (const { file } of candidates) this.#stems.add(stemOf(file.name));
    for (const groups of groupedBy(groupsOf(candidates), ([{ file }]) => stemOf(file.name)).values()) {
      const kept: Group[] = [];
      const clashing = groups.filter((group, index) => {
        const isClashing = groups.some((other, at) => at !== index && clash(group, other));
        if (!isClashing) kept.push(group);
        return isClashing;
      });
      this.#addGroups(kept);
      if (clashing.length > 0) this.#addClashing(clashing);
    }
    return this;
  }

  #addClashing(groups: readonly Group[]): void {
    this.clashing.push(...new Set(groups.map((group) => representativeOf(group))));
    switch (this.#choices.clash) {
      case 'both':
        for (const [index, group] of groups.entries()) {
          const isFree = groups.slice(0, index).every((other) => !clash(group, other));
          if (isFree) this.#addGroups([group]);
          else this.#rename(group);
        }
        return;
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
      const overwriting = changed.filter(({ file }) => names.has(file.name));
      this.overwriting.push(...overwriting.map(({ file }) => file.name));
      if (overwriting.length > 0 && this.#choices.existing === 'both') {
        this.#rename(group);
        continue;
      }
      this.unchanged += group.length - changed.length;
      for (const { file } of changed) {
        if (names.has(file.name) && this.#choices.existing === 'keep') continue;
        this.files.push({ ...file, etag: etagOf(file.name) });
      }
    }
  }

  #rename(group: Group): void {
    const stem = this.#freeStem(group);
    this.#stems.add(stem);
    for (const { file } of group) {
      const to = stem + file.name.slice(stemOf(file.name).length);
      this.renamed.push({ from: file.name, to });
      this.files.push({ ...file, name: to, etag: null });
    }
  }

  /** `extra_IMG_4003`, or with more folders of its path; without a folder, or if all are taken, `IMG_4003_2`. */
  #freeStem([{ folder, file }, ...others]: Group): string {
    const stem = stemOf(file.name);
    const endings = [file, ...others.map((each) => each.file)].map(({ name }) => name.slice(stem.length));
    const parts = folder === '' ? [] : folder.split('/');
    const prefixed = parts.map((_, index) => [...parts.slice(-1 - index), stem].join('_'));
    const isUsable = (name: string) => !this.#stems.has(name) && endings.every((end) => isFilename(name + end));
    const found = prefixed.find(isUsable);
    if (found !== undefined) return found;
    for (let count = 2; ; count++) {
      const numbered = `${stem}_${count}`;
      if (!this.#stems.has(numbered)) return numbered;
    }
  }
}

/** By folder and stem, the outer folders first. Two spellings of one name in a folder are two groups. */
function groupsOf(candidates: readonly Candidate[]): Group[] {
  const groups: [Candidate, ...Candidate[]][] = [];
  const last = new Map<string, [Candidate, ...Candidate[]]>();
  const depthOf = ({ folder }: Candidate) => folder.split('/').length;
  for (const candidate of candidates.toSorted((a, b) => depthOf(a) - depthOf(b))) {
    const key = `${candidate.folder}\n${stemOf(candidate.file.name)}`;
    const group = last.get(key);
    if (group?.every(({ file }) => file.name !== candidate.file.name) === true) group.push(candidate);
    else {
      const next: [Candidate, ...Candidate[]] = [candidate];
      last.set(key, next);
      groups.push(next);
    }
  }
  return groups;
}

/** Whether two groups of one stem can't both be in a dataset: they share a name, or would share a caption. */
function clash(a: Group, b: Group): boolean {
  const names = new Set(a.map(({ file }) => file.name));
  return b.some(({ file }) => names.has(file.name)) || (hasMedia(a) && hasMedia(b));
}

function hasMedia(group: Group): boolean {
  return group.some(({ file }) => mediaTypeOf(file.name)?.kind !== 'caption');
}

/** The name that stands for a pair: its picture's. */
function representativeOf(group: Group): string {
  return (group.find(({ file }) => mediaTypeOf(file.name)?.kind !== 'caption') ?? group[0]).file.name;
}

function ageOf(group: Group): number {
  return Math.max(...group.map(({ modified }) => modified));
}

function isFilename(name: string): boolean {
  try {
    return parseFilename(name) === name;
  } catch {
    return false;
  }
}
