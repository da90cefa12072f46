import { extensionOf } from '../contents.js';
import { sha256 } from '../../harness/sha256.js';

/** The SHA-256 of each file, by name. */
export type Files = ReadonlyMap<string, string>;

/** A file of this SHA-256 is stored; `undefined`: it is removed. */
export type Changes = ReadonlyMap<string, string | undefined>;

/** What the server must tell about a revision. */
export interface ModelRevision {
  readonly number: number;
  readonly how: string;
  readonly restoredFrom: number | null;
  /** The files before its first change; `undefined` if that is not known. */
  readonly before: Files | undefined;
  files: Files;
}

/** Changes of one group belong to one revision. */
export interface Author {
  readonly how: string;
  readonly group: string;
}

/** A change that no other one joins. */
const ALONE = ['restore', 'undo'];

/**
 * The history of a dataset as `docs/history.md` describes it, written independently of the server: whole sets of files
 * instead of differences.
 */
export class HistoryModel {
  /** Oldest first. */
  revisions: ModelRevision[] = [];
  files: Files = new Map();
  /** The group that the latest revision is open for, and the files that this revision has added. */
  #open: { readonly group: string; readonly added: Set<string> } | undefined;

  get latest(): ModelRevision | undefined {
    return this.revisions.at(-1);
  }

  /** Applies a change that the server makes in one transaction. */
  change(author: Author, changes: Changes, restoredFrom: number | null = null): void {
    const different = [...changes].filter(([name, hash]) => this.files.get(name) !== hash);
    if (different.length === 0) return;
    const joins = this.#open?.group === author.group && !different.some(([name]) => this.#open?.added.has(name));
    const before = this.files;
    const files = new Map(before);
    for (const [name, hash] of different) {
      if (hash === undefined) files.delete(name);
      else files.set(name, hash);
    }
    this.files = files;
    if (joins) this.latest!.files = files;
    else {
      const number = (this.latest?.number ?? 0) + 1;
      const { how } = author;
      this.revisions.push({ number, how, restoredFrom, before, files });
      this.#open = ALONE.includes(author.how) ? undefined : { group: author.group, added: new Set() };
    }
    for (const [name, hash] of different) if (hash !== undefined) this.#open?.added.add(name);
  }

  revision(number: number): ModelRevision | undefined {
    return this.revisions.find((revision) => revision.number === number);
  }

  /** Makes the files those of a revision. @returns whether that changed something */
  restore({ number, files }: ModelRevision): boolean {
    const before = this.latest;
    const names = new Set([...this.files.keys(), ...files.keys()]);
    const changes = new Map([...names].map((name) => [name, files.get(name)]));
    this.change({ how: 'restore', group: '' }, changes, number);
    return this.latest !== before;
  }

  /** Reverses the changes of a revision, except those of files that have changed again since. @returns both, by name */
  undo(number: number): { undone: string[]; kept: string[] } {
    const [from, to] = [this.revision(number - 1)?.files ?? new Map<string, string>(), this.revision(number)!.files];
    const names = [...new Set([...from.keys(), ...to.keys()])].filter((name) => from.get(name) !== to.get(name)).sort();
    const isUndone = (name: string) => [from.get(name), to.get(name)].includes(this.files.get(name));
    const undone = names.filter(isUndone);
    this.change({ how: 'undo', group: '' }, new Map(undone.map((name) => [name, from.get(name)])), number);
    return { undone, kept: names.filter((name) => !undone.includes(name)) };
  }

  /** No change joins the latest revision. */
  close(): void {
    this.#open = undefined;
  }
}

/** The SHA-256 over the lines `sha256  filename`. */
export function digestOfFiles(files: Files): string {
  const lines = [...files].map(([name, hash]) => ({ name, line: `${hash}  ${name}\n` }));
  lines.sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
  return sha256(lines.map(({ line }) => line).join(''));
}

/** Whether each image has its caption. */
export function isFit(files: Files): boolean {
  const images = [...files.keys()].filter((name) => extensionOf(name) === '.jpg');
  return images.length > 0 && images.every((name) => files.has(name.replace('.jpg', '.txt')));
}

/** How many files differ from one set to the next. */
export function differenceOf(from: Files, to: Files): { added: number; removed: number; changed: number } {
  const [before, after] = [[...from.keys()], [...to.keys()]];
  return {
    added: after.filter((name) => !from.has(name)).length,
    removed: before.filter((name) => !to.has(name)).length,
    changed: after.filter((name) => from.has(name) && from.get(name) !== to.get(name)).length,
  };
}
