import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { Dataset, StoredFile } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import type { FileKind } from '../../dataset/media.js';
import { forEachConcurrent } from '../../for-each-concurrent.js';
import { BlobChanged, blobKeyOf } from '../../storage/blobs/blobs.js';
import { type DatasetKey, datasetNotFound, fileNotFound, storedFilesIn } from '../datasets.js';
import type { ServiceDependencies } from '../dependencies.js';

/** Makes a WebP thumbnail of the image at `path`, for this account. Rejects if the image can't be decoded. */
export type Thumbnailer = (
  image: { path: string; sizeBytes: number },
  options: { accountId: string },
) => Promise<Buffer>;

/** The key of a blob's thumbnail. Cleanup deletes it with the blob. */
export function thumbnailKeyOf(blobKey: string): string {
  return `${blobKey}.thumbnail`;
}

/** `captions` returns no text of larger captions. */
const MAX_CAPTION_BYTES = 64 * 1024;

/** With a remote store, reading a caption takes one request. */
const MAX_CONCURRENT_CAPTIONS = 16;

/** Reads stored files: facts, bytes, captions and thumbnails. */
export class Downloads {
  readonly #dependencies: ServiceDependencies;
  readonly #makeThumbnail: Thumbnailer;
  /** Thumbnails that are being made, by key. */
  readonly #thumbnailsInFlight = new Map<string, Promise<void>>();

  constructor(dependencies: ServiceDependencies, makeThumbnail: Thumbnailer) {
    this.#dependencies = dependencies;
    this.#makeThumbnail = makeThumbnail;
  }

  /** @throws ServiceError `dataset_not_found`, `file_not_found` */
  async file(key: DatasetKey, filename: string): Promise<StoredFile> {
    const { catalog } = this.#dependencies;
    if ((await catalog.dataset(key)) === undefined) throw datasetNotFound(key.id);
    const file = await catalog.storedFile({ datasetId: key.id, filename: filename.normalize('NFC') });
    if (file === undefined) throw fileNotFound(filename);
    return file;
  }

  /** Returns files in the order of `filenames`. @throws ServiceError `dataset_not_found`, `file_not_found` */
  async files(key: DatasetKey, filenames: readonly string[]): Promise<StoredFile[]> {
    const { catalog } = this.#dependencies;
    if ((await catalog.dataset(key)) === undefined) throw datasetNotFound(key.id);
    const names = filenames.map((filename) => filename.normalize('NFC'));
    const found = await catalog.storedFiles({ datasetId: key.id, filenames: names });
    const byName = new Map(found.map((file) => [file.filename, file]));
    return names.map((filename) => {
      const file = byName.get(filename);
      if (file === undefined) throw fileNotFound(filename);
      return file;
    });
  }

  /** Returns a dataset with all its stored files, by name. @throws ServiceError `dataset_not_found` */
  async all(key: DatasetKey): Promise<{ dataset: Dataset; files: StoredFile[] }> {
    const found = await this.#dependencies.catalog.contents(key);
    if (found === undefined) throw datasetNotFound(key.id);
    return { dataset: found.dataset, files: storedFilesIn(found.files) };
  }

  /**
   * Returns up to `limit` files by name, from the first one after `after`, and whether the page is the last.
   *
   * @throws ServiceError `dataset_not_found`
   */
  async page(
    key: DatasetKey,
    { after = '', kind, limit }: { after?: string | undefined; kind?: FileKind | undefined; limit: number },
  ): Promise<{ files: StoredFile[]; isLast: boolean }> {
    const { catalog } = this.#dependencies;
    if ((await catalog.dataset(key)) === undefined) throw datasetNotFound(key.id);
    const page = { datasetId: key.id, after: after.normalize('NFC'), kind, limit: limit + 1 };
    const files = await catalog.storedFilesAfter(page);
    return { files: files.slice(0, limit), isLast: files.length <= limit };
  }

  /**
   * Reads captions, in the order of `filenames` and without byte order marks. The text of one over 64 KiB is null.
   *
   * @throws ServiceError `dataset_not_found`, `file_not_found`; `invalid_field` if a file is not a caption, `bytes_replaced`
   */
  async captions(key: DatasetKey, filenames: readonly string[]): Promise<{ file: StoredFile; text: string | null }[]> {
    const files = await this.files(key, filenames);
    const detail = files.flatMap(({ kind }, i) =>
      kind === 'caption' ? [] : [{ path: `filenames.${i}`, message: 'must name a caption' }],
    );
    const other = files.find(({ kind }) => kind !== 'caption');
    if (other !== undefined) {
      throw new ServiceError('invalid_field', `${other.filename} is not a caption. Name .txt files only.`, { detail });
    }
    const captions = files.map((file) => ({ file, text: null as string | null }));
    const small = captions.filter(({ file }) => file.upload.sizeBytes <= MAX_CAPTION_BYTES);
    await forEachConcurrent(small, MAX_CONCURRENT_CAPTIONS, async (caption) => {
      caption.text = await this.#textOf(caption.file);
    });
    return captions;
  }

  async #textOf(file: StoredFile): Promise<string> {
    const bytes = await buffer(await this.bytes(file));
    // A client may edit this text and save it. Then damaged bytes would become the file.
    if (createHash('sha256').update(bytes).digest('hex') !== file.upload.sha256) throw replaced(file);
    return new TextDecoder().decode(bytes);
  }

  /** Reads a file, or its bytes from `start` to before `end`. @throws ServiceError `bytes_replaced` */
  async bytes(file: StoredFile, range?: { start: number; end: number }): Promise<Readable> {
    const { sizeBytes, blobVersion: version } = file.upload;
    // With an explicit end, the stream needs no extra read to find the end of the file.
    const whole = sizeBytes === 0 ? undefined : { start: 0, end: sizeBytes };
    const read = this.#dependencies.blobs.read(blobKeyOf(file), { range: range ?? whole, version });
    const body = await read.catch((error) => {
      throw error instanceof BlobChanged ? replaced(file, error) : error;
    });
    if (body === undefined) throw missing(file);
    return body;
  }

  /** Returns the WebP thumbnail of an image, which is made on first use. @throws ServiceError `thumbnail_unavailable`, `file_not_found` */
  async thumbnail(file: StoredFile, options: { accountId: string }): Promise<Readable> {
    const { blobs } = this.#dependencies;
    const key = thumbnailKeyOf(blobKeyOf(file));
    const existing = await blobs.read(key);
    if (existing !== undefined) return existing;
    let storing = this.#thumbnailsInFlight.get(key);
    if (storing === undefined) {
      storing = this.#storeThumbnail(file, { key, ...options }).finally(() => this.#thumbnailsInFlight.delete(key));
      this.#thumbnailsInFlight.set(key, storing);
    }
    await storing;
    const thumbnail = await blobs.read(key);
    // The file was deleted in the meantime.
    if (thumbnail === undefined) throw fileNotFound(file.filename);
    return thumbnail;
  }

  async #storeThumbnail(file: StoredFile, { key, accountId }: { key: string; accountId: string }): Promise<void> {
    const { blobs, catalog } = this.#dependencies;
    if (file.kind !== 'image') {
      throw new ServiceError('thumbnail_unavailable', `${file.filename} is not an image, so it has no thumbnail.`);
    }
    const thumbnail = await this.#makeThumbnailOf(file, { accountId });
    const limit = { bytes: thumbnail.length, message: '' };
    const staged = await blobs.stage(Readable.from([thumbnail]), { key, limit, signal: new AbortController().signal });
    await staged.commit().catch((error) => {
      // Another instance stored the same thumbnail first.
      if (!(error instanceof ServiceError && error.code === 'upload_finalized')) throw error;
    });
    // If the file was deleted in the meantime, cleanup may have run already and will not delete this thumbnail.
    if ((await catalog.file(file.id)) === undefined) await blobs.delete([key]);
  }

  async #makeThumbnailOf(file: StoredFile, options: { accountId: string }): Promise<Buffer> {
    const { sizeBytes } = file.upload;
    const limit = { bytes: sizeBytes, message: `${file.filename} in the store is larger than ${sizeBytes} bytes.` };
    const { signal } = new AbortController();
    const fetched = await this.#dependencies.blobs.fetch(blobKeyOf(file), { limit, signal });
    if (fetched === undefined) throw missing(file);
    try {
      const { content } = fetched;
      if (!('path' in content)) throw new Error(`${file.filename} does not fit into the spool folder.`);
      return await this.#makeThumbnail({ path: content.path, sizeBytes }, options);
    } catch (error) {
      const message = `Can't make a thumbnail of ${file.filename}.`;
      throw new ServiceError('thumbnail_unavailable', message, { cause: error });
    } finally {
      await fetched.discard();
    }
  }
}

function replaced({ filename }: StoredFile, cause?: BlobChanged): ServiceError {
  const message = `The bytes of ${filename} in the store were changed after they were checked. Upload the file again.`;
  return new ServiceError('bytes_replaced', message, { cause });
}

function missing({ filename, id }: StoredFile): Error {
  return new Error(`The bytes of ${filename} (${id}) are missing from the store.`);
}
