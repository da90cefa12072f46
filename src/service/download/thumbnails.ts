import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import type { StoredFile } from '../../dataset/dataset.js';
import type { Appearance } from '../../dataset/duplicates/perceptual-hash.js';
import { ServiceError, undefinedOn } from '../../dataset/errors.js';
import type { MadeThumbnail } from '../../dataset/inspect/image/thumbnail.js';
import type { FileKind, VideoFormat } from '../../dataset/media.js';
import { blobKeyOf } from '../../storage/blobs/blobs.js';
import { FairQueue } from '../../storage/limits.js';
import { fetchIntact } from '../check.js';
import { fileNotFound } from '../datasets.js';
import type { ServiceDependencies } from '../dependencies.js';
import { clipThumbnail } from '../inspection/clip/clip-pictures.js';
import type { Ffmpeg } from '../inspection/clip/ffmpeg.js';
import type { InspectionPool, SlotRequest } from '../inspection/inspection-pool.js';

const THUMBNAIL_PIXELS = 320;

/** Some images are read and hashed while others are decoded. With a bucket, each has a copy of its image in the spool. */
const THUMBNAILS_PER_PROCESS = 2;

type ThumbnailOptions = Omit<SlotRequest, 'needsMuchMemory'>;

interface Tools {
  readonly pool: InspectionPool;
  /** `undefined` without ffmpeg. */
  readonly ffmpeg: () => Promise<Ffmpeg | undefined>;
}

/** A later attempt would end in the same way. */
const PERMANENT = ['thumbnail_unavailable', 'bytes_replaced', 'file_not_found'] as const;

/** Cleanup deletes the thumbnail with its blob. */
export function thumbnailKeyOf(blobKey: string): string {
  return `${blobKey}.thumbnail`;
}

/** Reads thumbnails of images and of the first frames of clips. A job makes them; a client that comes first has its own made, a few at a time, fairly by account. */
export class Thumbnails {
  readonly #dependencies: ServiceDependencies;
  readonly #tools: Tools;
  readonly #slots: FairQueue;

  constructor(dependencies: ServiceDependencies, tools: Tools) {
    this.#dependencies = dependencies;
    this.#tools = tools;
    this.#slots = new FairQueue(THUMBNAILS_PER_PROCESS * tools.pool.size);
  }

  /** The kinds of files that have thumbnails here. */
  async kinds(): Promise<readonly FileKind[]> {
    return (await this.#tools.ffmpeg()) === undefined ? ['image'] : ['image', 'video'];
  }

  /**
   * The thumbnail of an image or a clip. An abort does not end one that is being made.
   *
   * @throws ServiceError `thumbnail_unavailable`, `bytes_replaced`, `file_not_found`; the signal's reason
   */
  async read(file: StoredFile, { accountId, signal }: { accountId: string; signal: AbortSignal }): Promise<Buffer> {
    const key = thumbnailKeyOf(blobKeyOf(file));
    const existing = await this.#stored(key);
    if (existing !== undefined) return existing;
    const { filename, kind } = file;
    if (kind === 'caption') throw unavailable(`${filename} is a caption, so it has no thumbnail.`);
    if (!(await this.kinds()).includes(kind)) {
      throw unavailable(`${filename} is a clip, and the service has no ffmpeg that makes a thumbnail of it.`);
    }
    const make = async () => {
      // Another request may have made it meanwhile.
      const found = await this.#stored(key);
      if (found !== undefined) return found;
      return (await this.#makeAndStore(file, { accountId, signal: new AbortController().signal })).webp;
    };
    return this.#slots.run(accountId, make, { signal });
  }

  /**
   * Makes the thumbnail of an image or a clip for which no client waits.
   *
   * @returns what it looks like; `undefined` if it has no thumbnail
   * @throws ServiceError if the attempt may succeed later; the signal's reason
   */
  async prepare(file: StoredFile, options: ThumbnailOptions): Promise<Appearance | undefined> {
    return this.#makeAndStore(file, { ...options, isBackground: true }).catch(undefinedOn(...PERMANENT));
  }

  async #stored(key: string): Promise<Buffer | undefined> {
    const body = await this.#dependencies.blobs.read(key);
    return body && buffer(body);
  }

  /** Keeps a thumbnail that is stored already. */
  async #makeAndStore(file: StoredFile, options: ThumbnailOptions): Promise<MadeThumbnail> {
    const { catalog, blobs } = this.#dependencies;
    const made = await this.#makeOf(file, options);
    const key = thumbnailKeyOf(blobKeyOf(file));
    const { signal } = new AbortController();
    const { accountId } = options;
    const limit = { bytes: made.webp.length, message: '' };
    const staged = await blobs.stage(Readable.from([made.webp]), { key, limit, accountId, signal });
    // Another request may have been first.
    await staged.commit().catch(undefinedOn('upload_finalized'));
    // Cleanup may have deleted the image, and would not delete this thumbnail.
    if ((await catalog.file(file.id)) === undefined && !(await catalog.revisions.isPast(file.id))) {
      await blobs.delete([key]);
      throw fileNotFound(file.filename);
    }
    return made;
  }

  async #makeOf(file: StoredFile, options: ThumbnailOptions): Promise<MadeThumbnail> {
    const fetched = await fetchIntact(this.#dependencies.blobs, file, options);
    if ('problem' in fetched) throw new ServiceError('bytes_replaced', fetched.problem.message);
    try {
      const { pool } = this.#tools;
      const { facts } = file.upload;
      const source = { path: fetched.blob.path, maxPixels: THUMBNAIL_PIXELS };
      if (facts?.kind !== 'video') return await pool.thumbnail(source, options);
      const ffmpeg = await this.#tools.ffmpeg();
      if (ffmpeg === undefined) throw new Error('There is no ffmpeg.');
      return await clipThumbnail({ ffmpeg, pool }, { ...source, format: facts.format as VideoFormat }, options);
    } catch (error) {
      options.signal.throwIfAborted();
      // The server stops or can't start a process: the image may have a thumbnail.
      if (error instanceof ServiceError) throw error;
      throw unavailable(`Can't make a thumbnail of ${file.filename}.`, error);
    } finally {
      await fetched.blob.discard();
    }
  }
}

function unavailable(message: string, cause?: unknown): ServiceError {
  return new ServiceError('thumbnail_unavailable', message, { cause });
}
