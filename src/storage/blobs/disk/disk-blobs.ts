import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, type Stats } from 'node:fs';
import { type FileHandle, link, mkdir, open, readdir, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Readable } from 'node:stream';
import { hasErrno, undefinedOn } from '../../../dataset/errors.js';
import { syncFolder } from '../../folders.js';
import {
  alreadyExists,
  BlobDamaged,
  type BlobReader,
  BlobsNotDeleted,
  type BlobStore,
  type FetchOptions,
  type FoundBlob,
  ingestError,
  measureBlob,
  type MeasuredBlob,
  Meter,
  parseBlobName,
  type ReadOptions,
  type StagedBlob,
  type StageOptions,
  type StoredObject,
  writeStream,
} from '../blobs.js';

/** A slow reader costs two pieces: one that is read ahead, and one that is being sent. */
const MAX_READ_BYTES = 192 * 1024;
const MIN_READ_BYTES = 16 * 1024;

/** For the pieces of all clients: the more files are being read, the smaller are the next pieces. */
const READ_BUDGET_BYTES = 64 * 1024 * 1024;

/** A long upload is synced in parts; otherwise the page cache would hold all of it until the end. */
const WRITEBACK_BYTES = 32 * 1024 * 1024;

export const STAGING = 'staging';

const OBJECTS_PER_PAGE = 1000;

/** The 256 folders of blobs: the first two hexadecimal digits of their names. */
const SHARDS: readonly string[] = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));

/**
 * Stores blobs as files. A file is linked to its name once its bytes are durable, so that a crash leaves the complete blob or
 * none. Only one process may open a folder for writing.
 */
export class DiskBlobs implements BlobStore {
  readonly #root: string;
  readonly #staging: string;
  #reading = 0;

  private constructor(root: string) {
    this.#root = root;
    this.#staging = join(root, STAGING);
  }

  /** Opens or creates the folder, and deletes unfinished uploads of an earlier process. */
  static async open(root: string): Promise<DiskBlobs> {
    const blobs = new DiskBlobs(root);
    if (!existsSync(join(root, SHARDS.at(-1)!))) {
      for (const shard of SHARDS) mkdirSync(join(root, shard), { recursive: true });
      await syncFolder(root);
    }
    await rm(blobs.#staging, { recursive: true, force: true });
    await mkdir(blobs.#staging);
    return blobs;
  }

  /** Opens a folder that another process may serve. */
  static openBeside(root: string): BlobReader & Pick<DiskBlobs, 'pathOf'> {
    return new DiskBlobs(root);
  }

  async stage(body: Readable, options: StageOptions): Promise<StagedBlob> {
    const path = join(this.#staging, randomUUID());
    // Without a listener, an error of the body before the pipeline would end the process.
    body.on('error', () => {});
    let handle: FileHandle | undefined;
    try {
      // A disk without inodes fails here.
      handle = await open(path, 'wx');
      const meter = new Meter(options.limit);
      await writeStream(body, handle, { meter, signal: options.signal, onProgress: writebackOf(handle) });
      // Not awaited, so that the sync runs while the caller inspects the bytes.
      const durable = syncAndClose(handle);
      durable.catch(() => {});
      return { ...meter.facts(), ...this.#stagedBlob(options.key, path, durable) };
    } catch (error) {
      await handle?.close();
      await unlink(path).catch(undefinedOn('ENOENT'));
      options.signal.throwIfAborted();
      throw ingestError(error);
    }
  }

  #stagedBlob(key: string, path: string, durable: Promise<void>): Pick<StagedBlob, 'path' | 'commit' | 'discard'> {
    const discard = async () => {
      await durable.catch(() => {});
      await unlink(path).catch(undefinedOn('ENOENT'));
    };
    const commit = async () => {
      try {
        await durable;
        await giveName(path, this.pathOf(key));
        await Promise.all([syncFolder(dirname(this.pathOf(key))), unlink(path).catch(undefinedOn('ENOENT'))]);
        return { version: null };
      } catch (error) {
        await discard();
        throw hasErrno(error, 'EEXIST') ? alreadyExists() : ingestError(error);
      }
    };
    return { path, commit, discard };
  }

  async read(key: string, { range }: Pick<ReadOptions, 'range'> = {}): Promise<Readable | undefined> {
    const handle = await this.#open(key, range?.end);
    if (handle === undefined) return undefined;
    this.#reading++;
    const fairBytes = Math.floor(READ_BUDGET_BYTES / 2 / this.#reading);
    const whole = { highWaterMark: Math.min(MAX_READ_BYTES, Math.max(MIN_READ_BYTES, fairBytes)) };
    const bytes = range === undefined ? whole : { ...whole, start: range.start, end: range.end - 1 };
    return handle.createReadStream(bytes).once('close', () => this.#reading--);
  }

  async fetch(key: string, options: FetchOptions): Promise<MeasuredBlob | undefined> {
    const measured = await measureBlob(this, key, options);
    return measured && { ...measured, path: this.pathOf(key) };
  }

  /** @throws BlobDamaged if it is no file, or has fewer than `bytes` */
  async #open(key: string, bytes = 0): Promise<FileHandle | undefined> {
    const handle = await open(this.pathOf(key)).catch(undefinedOn('ENOENT'));
    if (handle === undefined) return undefined;
    const stats = await handle.stat();
    // A response that is shorter than its announced length would make its client wait for the rest.
    if (stats.isFile() && stats.size >= bytes) return handle;
    await handle.close();
    throw new BlobDamaged(key, stats.isFile() ? `has only ${stats.size} bytes` : 'has no file');
  }

  async find(keys: readonly string[]): Promise<Map<string, FoundBlob>> {
    const found = new Map<string, FoundBlob>();
    const inspect = async (key: string) => {
      const stats = await stat(this.pathOf(key)).catch(undefinedOn('ENOENT'));
      if (stats !== undefined) found.set(key, { sizeBytes: stats.size, version: null });
    };
    await Promise.all(keys.map(inspect));
    return found;
  }

  async delete(keys: readonly string[]): Promise<void> {
    const kept: { key: string; reason: string }[] = [];
    for (const key of keys) {
      await rm(this.pathOf(key), { force: true }).catch((error) => {
        // `verify --store` reports a folder in place of a blob. Its content is not the service's.
        if (!hasErrno(error, 'ERR_FS_EISDIR')) kept.push({ key, reason: error.message });
      });
    }
    if (kept.length > 0) throw new BlobsNotDeleted(kept);
  }

  pathOf(key: string): string {
    const name = nameOf(key);
    return join(this.#root, name.slice(0, 2), name);
  }

  async ping(): Promise<void> {
    const path = join(this.#staging, `ping-${randomUUID()}`);
    try {
      await writeFile(path, 'ping', { flag: 'wx' });
    } finally {
      await rm(path, { force: true });
    }
  }

  /** Holds the names of one folder in memory. */
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
    const names = (await readdir(join(this.#root, folder)).catch(undefinedOn('ENOENT', 'ENOTDIR'))) ?? [];
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

  #statOf(name: string): Promise<Stats | undefined> {
    return stat(join(this.#root, name)).catch(undefinedOn('ENOENT'));
  }

  async has({ name, changedAt }: StoredObject): Promise<boolean> {
    return (await this.#statOf(name))?.mtimeMs === changedAt;
  }

  async remove({ name }: StoredObject): Promise<void> {
    await rm(join(this.#root, name), { force: true });
  }

  async close(): Promise<void> {}
}

/** The id of the file, which is unique in all datasets. */
function nameOf(key: string): string {
  return key.slice(key.lastIndexOf('/') + 1);
}

/** @throws ServiceError `upload_finalized` or EEXIST if another file has the name */
async function giveName(staged: string, path: string): Promise<void> {
  try {
    await link(staged, path);
  } catch (error) {
    if (!hasErrno(error, 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS')) throw error;
    // exFAT has no hard links. A rename replaces files, but no other process writes here, and this one does nothing in between.
    if (existsSync(path)) throw alreadyExists();
    renameSync(staged, path);
  }
}

async function syncAndClose(handle: FileHandle): Promise<void> {
  try {
    await handle.datasync();
  } finally {
    await handle.close();
  }
}

/** Returns a callback for the number of received bytes that syncs in the background, once at a time. */
function writebackOf(handle: FileHandle): (bytes: number) => void {
  let nextAt = WRITEBACK_BYTES;
  let isRunning = false;
  return (bytes) => {
    if (bytes < nextAt || isRunning) return;
    nextAt = bytes + WRITEBACK_BYTES;
    isRunning = true;
    const finished = () => {
      isRunning = false;
    };
    // The last sync reports a failure again.
    handle.datasync().then(finished, finished);
  };
}
