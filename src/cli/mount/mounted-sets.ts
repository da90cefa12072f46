import type { Mounted, MountedFolder } from '../../service/mount/mount.js';

/** The datasets that one command has mounted, each with its linked datasets. */
export class MountedSets {
  /** By the name or id that was asked for. */
  readonly #sets = new Map<string, Mounted>();

  add(nameOrId: string, mounted: Mounted): void {
    // Last in the order of the map, as it was mounted last.
    this.#sets.delete(nameOrId);
    this.#sets.set(nameOrId, mounted);
  }

  get(nameOrId: string): Mounted | undefined {
    return this.#sets.get(nameOrId);
  }

  /** The folder in which a dataset was mounted with its target, if it was. */
  linkedFolder(nameOrId: string): MountedFolder | undefined {
    const folders = [...this.#sets.values()].flatMap(({ linkedFolders }) => linkedFolders);
    return folders.findLast(({ name, datasetId }) => name === nameOrId.normalize('NFC') || datasetId === nameOrId);
  }

  /** The targets beside which a control or mask was replaced by one of a later moment, with another target. */
  outdated(): string[] {
    const now = new Map<string, string>();
    for (const mounted of this.#sets.values()) {
      for (const { datasetId, digest } of [mounted, ...mounted.linkedFolders]) now.set(datasetId, digest);
    }
    const isOutdated = ({ datasetId, digest }: MountedFolder) => now.get(datasetId) !== digest;
    return [...this.#sets].flatMap(([name, { linkedFolders }]) => (linkedFolders.some(isOutdated) ? [name] : []));
  }
}
