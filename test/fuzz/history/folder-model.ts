import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Changes, Files } from './history-model.js';
import { sha256 } from '../../harness/sha256.js';

export interface SyncRules {
  /** The side whose version is kept where both sides have changed a file. */
  readonly winner: 'source' | 'target' | null;
  /** Removes from the target what was removed from the source. */
  readonly replace: boolean;
}

/** What a push or a pull changes in its target, and the files that it leaves because both sides have changed them. */
export interface SyncOutcome {
  readonly changes: Changes;
  readonly conflicts: readonly string[];
}

/** A folder that is pushed and pulled, and a model of what it last had in common with the dataset. */
export class SyncedFolder {
  readonly path: string;
  files = new Map<string, string>();
  #common = new Map<string, string>();

  constructor(path: string) {
    this.path = path;
  }

  async create(files: ReadonlyMap<string, Buffer>): Promise<void> {
    await mkdir(this.path, { recursive: true });
    for (const [name, bytes] of files) await this.write(name, bytes);
  }

  async write(filename: string, bytes: Buffer): Promise<void> {
    await writeFile(join(this.path, filename), bytes);
    this.files.set(filename, sha256(bytes));
  }

  async erase(filename: string): Promise<void> {
    await rm(join(this.path, filename), { force: true });
    this.files.delete(filename);
  }

  /** What a push must change in the dataset, as the documentation says. */
  push(dataset: Files, rules: SyncRules): SyncOutcome {
    return outcomeOf({ source: this.files, target: dataset, common: this.#common }, rules);
  }

  /** What a pull must change in the folder. */
  pull(dataset: Files, rules: SyncRules): SyncOutcome {
    return outcomeOf({ source: dataset, target: this.files, common: this.#common }, rules);
  }

  /** Remembers what folder and dataset have in common after a push or pull. */
  remember(dataset: Files): void {
    for (const name of new Set([...this.#common.keys(), ...this.files.keys(), ...dataset.keys()])) {
      const hash = this.files.get(name);
      if (hash !== dataset.get(name)) continue;
      if (hash === undefined) this.#common.delete(name);
      else this.#common.set(name, hash);
    }
  }

  /** The files that are really there. */
  async read(): Promise<Map<string, string>> {
    const names = (await readdir(this.path)).sort();
    const entries = names.map(async (name) => [name, sha256(await readFile(join(this.path, name)))] as const);
    return new Map(await Promise.all(entries));
  }
}

/** A file is copied or removed where only the source has changed it; a change of the target is overruled on demand only. */
function outcomeOf(
  { source, target, common }: { source: Files; target: Files; common: Files },
  { winner, replace }: SyncRules,
): SyncOutcome {
  const changes = new Map<string, string | undefined>();
  const conflicts: string[] = [];
  for (const name of new Set([...source.keys(), ...target.keys()])) {
    const [from, to, base] = [source.get(name), target.get(name), common.get(name)];
    if (from === to) continue;
    const isChangedInSource = from !== base;
    const isChangedInTarget = to !== base;
    const copies = from !== undefined || replace;
    if (!isChangedInTarget) {
      if (copies) changes.set(name, from);
    } else if (isChangedInSource) {
      if (winner === null) conflicts.push(name);
      else if (winner === 'source' && copies) changes.set(name, from);
    } else if (winner === 'source' && (to === undefined || replace)) changes.set(name, from);
  }
  // A new caption stays out with its picture.
  for (const name of changes.keys()) {
    const picture = name.replace(/txt$/, 'jpg');
    const [from, to, base] = [source.get(picture), target.get(picture), common.get(picture)];
    const isKept = from !== undefined && from !== to && from !== base && to !== base && winner !== 'source';
    if (picture === name || !source.has(name) || target.has(name) || !isKept) continue;
    changes.delete(name);
    if (winner === null) conflicts.push(name);
  }
  return { changes, conflicts: conflicts.sort() };
}
