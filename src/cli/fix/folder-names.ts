import { lstat, readdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { mediaTypeOf, stemOf } from '../../dataset/media.js';
import { printable } from '../terminal/text.js';
import { FileLeftAlone, isSameFile } from './file-changes.js';

/** The names in a folder, and those that planned fixes will create. */
export class FolderNames {
  /** The real path. */
  readonly folder: string;
  /** Names that are one on a file system that ignores case, by that name. */
  readonly #names = new Map<string, Set<string>>();
  /** Names of images and videos by what is before their extension. */
  readonly #media = new Map<string, Set<string>>();

  private constructor(folder: string, names: readonly string[]) {
    this.folder = folder;
    for (const name of names) this.#add(name);
  }

  static async read(path: string): Promise<FolderNames> {
    const folder = await realpath(path);
    return new FolderNames(folder, await readdir(folder));
  }

  /**
   * Reserves the name that a file will get.
   *
   * @throws FileLeftAlone if another file has it, or if a converted image would share its stem with another image or video
   */
  async claim(to: string, options: { from: string; isConverted?: boolean }): Promise<void> {
    const { from, isConverted = false } = options;
    const taken = firstOther(this.#names.get(folded(to)), from);
    const twin = isConverted ? firstOther(this.#media.get(folded(stemOf(from))), from) : undefined;
    const other = taken ?? twin;
    if (other !== undefined && !(await this.#isOneFile(from, other))) {
      const action = isConverted ? 'converted' : 'renamed';
      const message = `is not ${action} to ${printable(to)}, since there is ${printable(other)} already. Delete or rename one of them`;
      throw new FileLeftAlone(message);
    }
    this.#add(to);
  }

  #add(name: string): void {
    add(this.#names, folded(name), name);
    if (isMedia(name)) add(this.#media, folded(stemOf(name)), name);
  }

  /** Whether an interrupted run left a file with its old name and its new one. */
  async #isOneFile(from: string, to: string): Promise<boolean> {
    const paths = [from, to].map((name) => join(this.folder, name));
    // A planned fix creates the other one.
    const [one, other] = await Promise.all(paths.map((path) => lstat(path).catch(() => undefined)));
    return one !== undefined && other !== undefined && isSameFile(one, other);
  }
}

function add(names: Map<string, Set<string>>, key: string, name: string): void {
  const same = names.get(key);
  if (same === undefined) names.set(key, new Set([name]));
  else same.add(name);
}

/** The first of these names that is not `own`. */
function firstOther(names: ReadonlySet<string> | undefined, own: string): string | undefined {
  for (const name of names ?? []) if (name !== own) return name;
  return undefined;
}

const folded = (name: string) => name.normalize('NFC').toLowerCase();

function isMedia(name: string): boolean {
  const kind = mediaTypeOf(name)?.kind;
  return kind === 'image' || kind === 'video';
}
