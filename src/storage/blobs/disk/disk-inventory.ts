import type { Stats } from 'node:fs';
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { hasErrno } from '../../../dataset/errors.js';
import { type BlobInventory, parseBlobName, type StoredObject } from '../blobs.js';
import { DiskBlobs, SHARDS, STAGING } from './disk-blobs.js';

const OBJECTS_PER_PAGE = 1000;

/** Everything in the folder of a `DiskBlobs`, which another process may serve. */
export class DiskInventory implements BlobInventory {
  readonly fetch: BlobInventory['fetch'];
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
    const blobs = DiskBlobs.readOnly(root);
    this.fetch = (key, options) => blobs.fetch(key, options);
  }

  /** Holds the names of one of the 256 folders in memory. */
  async *objects(): AsyncGenerator<readonly StoredObject[]> {
    const folders = (await readdir(this.#root)).filter((name) => name !== STAGING).sort();
    for (const folder of [...folders, STAGING]) {
      const isKnown = folder === STAGING || SHARDS.includes(folder);
      const names = isKnown ? await this.#namesIn(folder) : [folder];
      for (let i = 0; i < names.length; i += OBJECTS_PER_PAGE) {
        const page = await Promise.all(names.slice(i, i + OBJECTS_PER_PAGE).map((name) => this.#objectAt(name)));
        yield page.filter((object) => object !== undefined);
      }
    }
  }

  async #namesIn(folder: string): Promise<string[]> {
    const names = await readdir(join(this.#root, folder)).catch((error) => {
      if (hasErrno(error, 'ENOENT', 'ENOTDIR')) return [];
      throw error;
    });
    return names.sort().map((name) => join(folder, name));
  }

  async #objectAt(name: string): Promise<StoredObject | undefined> {
    const facts = await this.#statOf(name);
    if (facts === undefined) return undefined;
    const common = { name, sizeBytes: facts.size, changedAt: facts.mtimeMs };
    const [folder = '', blob = ''] = name.split('/');
    if (!facts.isFile()) return { ...common, kind: 'foreign' };
    if (folder === STAGING) return { ...common, kind: 'temporary' };
    return { ...common, ...((blob.startsWith(folder) && parseBlobName(blob)) || { kind: 'foreign' }) };
  }

  async #statOf(name: string): Promise<Stats | undefined> {
    return stat(join(this.#root, name)).catch((error) => {
      if (!hasErrno(error, 'ENOENT')) throw error;
      return undefined;
    });
  }

  async has({ name, changedAt }: StoredObject): Promise<boolean> {
    return (await this.#statOf(name))?.mtimeMs === changedAt;
  }

  async remove({ name }: StoredObject): Promise<void> {
    await rm(join(this.#root, name), { force: true });
  }

  async close(): Promise<void> {}
}
