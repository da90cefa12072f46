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

/** Makes a WebP of an image. Rejects where that kind of file has no picture to show. */
export type Thumbnailer = (path: string) => Promise<Buffer>;

/** Where the thumbnail of a blob is kept: beside it, and swept with it. */
export function thumbnailKeyOf(blobKey: string): string {
  return `${blobKey}.thumbnail`;
}

/** Larger captions are none that anybody edits beside a thousand others. */
const MAX_CAPTION_BYTES = 64 * 1024;

/** Captions read at once: over a network each is a request, and takes its time. */
const CAPTIONS_AT_ONCE = 16;

/** How the bytes of files come out again. */
export class Downloads {
  readonly #dependencies: ServiceDependencies;
  readonly #makeThumbnail: Thumbnailer;
  readonly #inTheMaking = new Map<string, Promise<void>>();

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

  /** Files in the order of their names as given. @throws ServiceError `dataset_not_found`, `file_not_found` */
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

  /** A dataset with all its good files, in the order of their names. @throws ServiceError `dataset_not_found` */
  async all(key: DatasetKey): Promise<{ dataset: Dataset; files: StoredFile[] }> {
    const found = await this.#dependencies.catalog.contents(key);
    if (found === undefined) throw datasetNotFound(key.id);
    return { dataset: found.dataset, files: storedFilesIn(found.files) };
  }

  /**
   * The first files behind a name, or of all, in the order of their names, and whether there are more.
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
   * Captions in the order of their names as given, without their byte order marks; those over 64 KiB have no text here.
   *
   * @throws ServiceError `dataset_not_found`, `file_not_found`; `invalid_field` for names of other files, `bytes_replaced`
   */
  async captions(key: DatasetKey, filenames: readonly string[]): Promise<{ file: StoredFile; text: string | null }[]> {
    const files = await this.files(key, filenames);
    const detail = files.flatMap(({ kind }, i) =>
      kind === 'caption' ? [] : [{ path: `filenames.${i}`, message: 'must name a caption' }],
    );
    if (detail.length > 0) {
      const [stranger] = files.filter(({ kind }) => kind !== 'caption');
      const message = `${stranger?.filename} is no caption. Name .txt files only.`;
      throw new ServiceError('invalid_field', message, { detail });
    }
    const captions = files.map((file) => ({ file, text: null as string | null }));
    const small = captions.filter(({ file }) => file.upload.sizeBytes <= MAX_CAPTION_BYTES);
    await forEachConcurrent(small, CAPTIONS_AT_ONCE, async (caption) => {
      caption.text = await this.#textOf(caption.file);
    });
    return captions;
  }

  async #textOf(file: StoredFile): Promise<string> {
    const bytes = await buffer(await this.bytes(file));
    // Whoever saves what they were given here must not save damage.
    if (createHash('sha256').update(bytes).digest('hex') !== file.upload.sha256) throw replaced(file);
    return new TextDecoder().decode(bytes);
  }

  /** The bytes of a file from `start` up to and without `end`. @throws ServiceError `bytes_replaced` */
  async bytes(file: StoredFile, range?: { start: number; end: number }): Promise<Readable> {
    const { sizeBytes, blobVersion: version } = file.upload;
    // Where the end is known, nobody has to read once more to find it.
    const whole = sizeBytes === 0 ? undefined : { start: 0, end: sizeBytes };
    const read = this.#dependencies.blobs.read(blobKeyOf(file), { range: range ?? whole, version });
    const body = await read.catch((error) => {
      throw error instanceof BlobChanged ? replaced(file, error) : error;
    });
    if (body === undefined) throw gone(file);
    return body;
  }

  /** A WebP of an image, made on first use. @throws ServiceError `thumbnail_unavailable`, `file_not_found` */
  async thumbnail(file: StoredFile): Promise<Readable> {
    const { blobs } = this.#dependencies;
    const key = thumbnailKeyOf(blobKeyOf(file));
    const kept = await blobs.read(key);
    if (kept !== undefined) return kept;
    let made = this.#inTheMaking.get(key);
    if (made === undefined) {
      made = this.#make(file, key).finally(() => this.#inTheMaking.delete(key));
      this.#inTheMaking.set(key, made);
    }
    await made;
    const found = await blobs.read(key);
    // Removed in the meantime.
    if (found === undefined) throw fileNotFound(file.filename);
    return found;
  }

  async #make(file: StoredFile, key: string): Promise<void> {
    const { blobs, catalog } = this.#dependencies;
    if (file.kind !== 'image') {
      throw new ServiceError('thumbnail_unavailable', `${file.filename} is not an image, so it has no thumbnail.`);
    }
    const picture = await this.#pictureOf(file);
    const limit = { bytes: picture.length, message: '' };
    const staged = await blobs.stage(Readable.from([picture]), { key, limit, signal: new AbortController().signal });
    await staged.commit().catch((error) => {
      // Another instance was faster; its thumbnail is as good.
      if (!(error instanceof ServiceError && error.code === 'upload_finalized')) throw error;
    });
    // Removed in the meantime, and perhaps swept already: nobody would come for the thumbnail any more.
    if ((await catalog.file(file.id)) === undefined) await blobs.delete([key]);
  }

  async #pictureOf(file: StoredFile): Promise<Buffer> {
    const limit = { bytes: file.upload.sizeBytes, message: `${file.filename} is larger than it was.` };
    const { signal } = new AbortController();
    const fetched = await this.#dependencies.blobs.fetch(blobKeyOf(file), { limit, signal });
    if (fetched === undefined) throw gone(file);
    try {
      const { content } = fetched;
      if (!('path' in content)) throw new Error('It is too large to be held on this machine.');
      return await this.#makeThumbnail(content.path);
    } catch (error) {
      throw new ServiceError('thumbnail_unavailable', `No thumbnail can be made of ${file.filename}.`, {
        cause: error,
      });
    } finally {
      await fetched.discard();
    }
  }
}

function replaced({ filename }: StoredFile, cause?: BlobChanged): ServiceError {
  const message = `${filename} is not any more what was checked: other bytes were put in its place in the store. Upload it again.`;
  return new ServiceError('bytes_replaced', message, { cause });
}

function gone({ filename, id }: StoredFile): Error {
  return new Error(`The bytes of ${filename} (${id}) are gone from the store.`);
}
