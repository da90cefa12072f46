import { createHash } from 'node:crypto';
import { readFile } from 'node:fs';
import type { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { MAX_CAPTION_TEXT_BYTES } from '../../api/limits.js';
import type { StoredFile } from '../../dataset/dataset.js';
import { hasErrno, ServiceError } from '../../dataset/errors.js';
import type { Group } from '../../dataset/groups.js';
import { filesIn } from '../../dataset/history/revisions.js';
import type { FileKind } from '../../dataset/media.js';
import { normalizedFilename } from '../../dataset/names.js';
import { chosenFiles, type MediaChoice } from '../../dataset/train/training-dataset.js';
import { forEachConcurrent } from '../../for-each-concurrent.js';
import { BlobChanged, blobKeyOf } from '../../storage/blobs/blobs.js';
import { FairQueue } from '../../storage/limits.js';
import { isUnreadable } from '../check.js';
import { type DatasetKey, fileNotFound, findRecord, storedFilesIn } from '../datasets.js';
import type { ServiceDependencies } from '../dependencies.js';
import { findRevision, revisionNotFound } from '../history.js';
import { type Chunks, READ_AHEAD_BYTES } from './read-ahead.js';

/** Captions that one answer reads at a time, with a request each from a bucket. */
const MAX_CONCURRENT_CAPTIONS = 16;

/** Small files that are read at a time: Node has four threads for files, and an upload waits behind reads that have begun. */
const SMALL_FILES_AT_ONCE = 64;

const readWhole = promisify(readFile);

export interface DatasetSource extends DatasetKey {
  readonly revision?: number | undefined;
}

/** What a download holds of a file until its client has read it: facts and warnings may take kilobytes. */
export interface HashedFile extends Pick<StoredFile, 'id' | 'datasetId' | 'filename' | 'kind' | 'group'> {
  readonly upload: Pick<StoredFile['upload'], 'sizeBytes' | 'sha256' | 'finalizedAt' | 'blobVersion'>;
}

export function hashedFileOf({ id, datasetId, filename, kind, group, upload }: StoredFile): HashedFile {
  const { sizeBytes, sha256, finalizedAt, blobVersion } = upload;
  const named = { id, datasetId, filename, kind, ...(group !== undefined && { group }) };
  return { ...named, upload: { sizeBytes, sha256, finalizedAt, blobVersion } };
}

/** By default all. */
export interface ChosenFiles {
  readonly only?: MediaChoice | undefined;
  readonly filenames?: readonly string[] | undefined;
}

/** Stored files of a dataset, by name. */
export interface ExportedDataset {
  readonly name: string;
  readonly groups: readonly Group[];
  readonly files: readonly HashedFile[];
}

export class Downloads {
  readonly #dependencies: ServiceDependencies;
  readonly #smallFiles = new FairQueue(SMALL_FILES_AT_ONCE);

  constructor(dependencies: ServiceDependencies) {
    this.#dependencies = dependencies;
  }

  /** @throws ServiceError `dataset_not_found`, `revision_not_found`, `file_not_found` */
  async file(key: DatasetSource, filename: string): Promise<StoredFile> {
    const [file] = await this.#named(key, [filename]);
    return file!;
  }

  /** In the order of `filenames`. @throws as `file` */
  async files(key: DatasetSource, filenames: readonly string[]): Promise<HashedFile[]> {
    return (await this.#named(key, filenames)).map(hashedFileOf);
  }

  async #named(key: DatasetSource, filenames: readonly string[]): Promise<StoredFile[]> {
    const { catalog } = this.#dependencies;
    const { id: datasetId, revision: number } = key;
    await findRecord(catalog, key);
    const names = filenames.map(normalizedFilename);
    const wanted = { datasetId, filenames: names };
    const found = number === undefined ? catalog.storedFiles(wanted) : catalog.revisions.files({ ...wanted, number });
    const byName = new Map((await found).map((file) => [file.filename, file]));
    const missing = names.findIndex((name) => !byName.has(name));
    // The same texts as in the request, which may be long.
    if (missing === -1) return names.map((filename) => ({ ...byName.get(filename)!, filename }));
    await findRecord(catalog, key);
    if (number !== undefined) await findRevision(catalog, datasetId, number);
    throw fileNotFound(filenames[missing]!);
  }

  /** All stored files of a dataset, by name. @throws ServiceError `dataset_not_found`, `revision_not_found` */
  async all(key: DatasetSource): Promise<ExportedDataset> {
    const { catalog } = this.#dependencies;
    const { id: datasetId, accountId, revision: number } = key;
    const { name, groups } = await findRecord(catalog, key);
    if (number === undefined) {
      const files = await catalog.readMany(accountId, () => catalog.files(datasetId));
      // A dataset that is deleted meanwhile is not an empty one.
      await findRecord(catalog, key);
      return { name, groups, files: storedFilesIn(files).map(hashedFileOf) };
    }
    const read = () => catalog.revisions.versions({ datasetId, from: number, to: number });
    const { kept, files } = await catalog.readMany(accountId, read);
    if (!kept.has(number)) throw await revisionNotFound(catalog, datasetId, number);
    return { name, groups, files: filesIn(files, number).map(hashedFileOf) };
  }

  /** Those of `all` that are chosen. @throws ServiceError as `all`; `file_not_found` */
  async chosen(key: DatasetSource, { only, filenames }: ChosenFiles): Promise<ExportedDataset> {
    const { files: all, ...dataset } = await this.all(key);
    const files = chosenFiles(all, only);
    if (filenames === undefined) return { ...dataset, files };
    const names = new Set(filenames.map(normalizedFilename));
    const present = new Set(all.map(({ filename }) => filename));
    const missing = [...names].find((name) => !present.has(name));
    if (missing !== undefined) throw fileNotFound(missing);
    return { ...dataset, files: files.filter(({ filename }) => names.has(filename)) };
  }

  /** Up to `limit` files by name, after `after`. @throws ServiceError `dataset_not_found` */
  async page(
    key: DatasetKey,
    { after = '', kind, limit }: { after?: string | undefined; kind?: FileKind | undefined; limit: number },
  ): Promise<{ files: StoredFile[]; isLast: boolean }> {
    const { catalog } = this.#dependencies;
    await findRecord(catalog, key);
    const page = { datasetId: key.id, after: after.normalize('NFC'), kind, limit: limit + 1 };
    const files = await catalog.storedFilesAfter(page);
    // A dataset that is deleted meanwhile is not an empty one.
    if (files.length === 0) await findRecord(catalog, key);
    return { files: files.slice(0, limit), isLast: files.length <= limit };
  }

  /** Captions in the order of `filenames`. @throws ServiceError as `files`; `invalid_field` if a file is not a caption */
  async captions(key: DatasetSource, filenames: readonly string[]): Promise<readonly HashedFile[]> {
    const files = await this.files(key, filenames);
    const detail = files.flatMap(({ kind }, i) =>
      kind === 'caption' ? [] : [{ path: `filenames.${i}`, message: 'must name a caption' }],
    );
    const other = files.find(({ kind }) => kind !== 'caption');
    if (other !== undefined) {
      throw new ServiceError('invalid_field', `${other.filename} is not a caption. Name .txt and .json files only.`, {
        detail,
      });
    }
    return files;
  }

  /** The texts of captions of up to 64 KiB. @throws ServiceError `bytes_replaced`, unless damaged ones are left out too */
  async texts<F extends HashedFile>(
    accountId: string,
    files: readonly F[],
    { leavesOutDamaged = false }: { leavesOutDamaged?: boolean } = {},
  ): Promise<Map<F, string>> {
    const texts = new Map<F, string>();
    const small = files.filter(({ kind, upload }) => kind === 'caption' && upload.sizeBytes <= MAX_CAPTION_TEXT_BYTES);
    await forEachConcurrent(small, MAX_CONCURRENT_CAPTIONS, async (file) => {
      // A client may edit and save this text: damaged bytes would become the file.
      const bytes = await this.#whole(accountId, () => this.intactBytes(file)).catch((error) => {
        if (leavesOutDamaged && error instanceof ServiceError && error.code === 'bytes_replaced') return undefined;
        throw error;
      });
      if (bytes !== undefined) texts.set(file, new TextDecoder().decode(Buffer.concat(bytes)));
    });
    return texts;
  }

  /** Reads a file for an archive; the bytes of a small one are in memory when the promise resolves. @throws as `open` */
  async archived(
    accountId: string,
    file: HashedFile,
    open: () => Promise<Chunks> | Chunks = () => this.#open(file),
  ): Promise<Chunks> {
    return isSmall(file) ? this.#whole(accountId, open) : open();
  }

  #open(file: HashedFile): Promise<Chunks> {
    return isSmall(file) ? this.#smallBytes(file) : this.bytes(file);
  }

  /** A stream takes three times as long as `readFile` with a callback. */
  async #smallBytes(file: HashedFile): Promise<Chunks> {
    const path = this.#dependencies.blobs.pathOf?.(blobKeyOf(file));
    if (path === undefined) return this.bytes(file);
    const bytes = await readWhole(path).catch((error) => {
      if (hasErrno(error, 'ENOENT')) throw disappeared(file);
      throw isUnreadable(error) ? replaced(file, error) : error;
    });
    if (bytes.length !== file.upload.sizeBytes) throw replaced(file);
    return [bytes];
  }

  /** `buffer` of Node would copy the bytes into a Blob and back. */
  #whole(accountId: string, open: () => Promise<Chunks> | Chunks): Promise<Buffer[]> {
    return this.#smallFiles.run(accountId, async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of await open()) chunks.push(chunk);
      return chunks;
    });
  }

  /**
   * Reads a whole file. With another SHA-256 it throws before the last bytes, so that a receiver has no complete file.
   *
   * @throws ServiceError `bytes_replaced`
   */
  async *intactBytes(file: HashedFile): AsyncGenerator<Buffer> {
    const hash = createHash('sha256');
    let last: Buffer | undefined;
    try {
      for await (const chunk of await this.#open(file)) {
        if (last !== undefined) yield last;
        hash.update(chunk);
        last = chunk;
      }
    } catch (error) {
      throw error instanceof BlobChanged || isUnreadable(error) ? replaced(file, error) : error;
    }
    if (hash.digest('hex') !== file.upload.sha256) throw replaced(file);
    if (last !== undefined) yield last;
  }

  /** Reads a file, or its bytes from `start` to before `end`. @throws ServiceError `bytes_replaced` */
  async bytes(file: HashedFile, range?: { start: number; end: number }): Promise<Readable> {
    const { sizeBytes, blobVersion: version } = file.upload;
    // With an explicit end, the stream needs no extra read.
    const whole = sizeBytes === 0 ? undefined : { start: 0, end: sizeBytes };
    const read = this.#dependencies.blobs.read(blobKeyOf(file), { range: range ?? whole, version });
    const body = await read.catch((error) => {
      throw error instanceof BlobChanged ? replaced(file, error) : error;
    });
    if (body === undefined) throw disappeared(file);
    return body;
  }
}

function isSmall({ upload }: HashedFile): boolean {
  return upload.sizeBytes <= READ_AHEAD_BYTES;
}

function replaced({ filename }: HashedFile, cause?: unknown): ServiceError {
  const message = `The bytes of ${filename} in the store were changed after they were checked. Upload the file again.`;
  return new ServiceError('bytes_replaced', message, { cause });
}

function disappeared({ filename }: HashedFile): ServiceError {
  const message = `The bytes of ${filename} disappeared from the store after they were checked. Upload the file again.`;
  return new ServiceError('bytes_replaced', message);
}
