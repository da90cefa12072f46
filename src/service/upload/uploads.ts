import type { Readable } from 'node:stream';
import type { PendingFile, StoredFile } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import { mediaTypeOf } from '../../dataset/media.js';
import { parseFilename } from '../../dataset/names.js';
import { stemGroupsOf } from '../../dataset/counts.js';
import { promise, type StemGroup } from '../../dataset/upload-transitions.js';
import { blobKeyOf } from '../../storage/blobs/blobs.js';
import { parseBatch } from './parse-upload-batch.js';
import { HeldPromise } from './upload-lease.js';
import { MAX_DIRECT_BYTES, type ServiceParts } from '../dependencies.js';
import { type DatasetKey, datasetNotFound } from '../datasets.js';
import { NOTICE_TIME, type SignedUpload } from './upload-links.js';

/** A body on its way in; the signal's reason says why it must stop. */
export interface Arrival {
  readonly body: Readable;
  readonly signal: AbortSignal;
  /** What the request announces: there are no more bytes in it than that. */
  readonly atMostBytes?: number | undefined;
}

/** How files come in: promised, received, judged, and then kept or refused with a reason. */
export class Uploads {
  readonly #parts: ServiceParts;
  /** What this process is taking in through links, by file id, so that a newer request can take over. */
  readonly #arriving = new Map<string, { replace: AbortController; ended: Promise<unknown> }>();
  /** Everything that this process is taking in. */
  readonly #receiving = new Set<string>();
  /** Uploads that are over without the catalog knowing: a full disk takes no row either. */
  readonly #unended = new Set<HeldPromise>();

  constructor(parts: ServiceParts) {
    this.#parts = parts;
  }

  /**
   * Promises a batch of files, name to size in bytes, to be brought through signed links.
   *
   * @returns a promise for each name as it was given.
   * @throws ServiceError `dataset_not_found`; `invalid_name`, `unsupported_type` and others with all faults in `detail`.
   * Nothing is promised then.
   */
  async promiseBatch(key: DatasetKey, sizes: ReadonlyMap<string, number>): Promise<Map<string, PendingFile>> {
    const { blobs, catalog, now, rules } = this.#parts;
    if ((await catalog.dataset(key)) === undefined) throw datasetNotFound(key.id);
    const createdAt = now();
    const mostPresigned = blobs.presigning?.maxBytes ?? 0;
    const promises = new Map<string, PendingFile>();
    for (const { raw, filename, sizeBytes } of parseBatch(sizes, rules.maxLinkBytes)) {
      const isPresigned = sizeBytes <= mostPresigned;
      const expiresAt = createdAt + rules.linkLifetime + (isPresigned ? NOTICE_TIME : 0);
      const promised = { promisedBytes: sizeBytes, expiresAt, arrivingUntil: null, arrivingBy: null };
      const upload = { via: isPresigned ? 'presigned' : 'link', ...promised } as const;
      promises.set(raw, this.#pendingFile(key, filename, { createdAt, upload }));
    }
    const ofStem = stemGroupsOf([...promises.values()]);
    const change = {
      datasetId: key.id,
      filenames: [...promises.values()].map((file) => file.filename),
      now: createdAt,
      isActivity: true,
    };
    const changed = await catalog.change(change, (group, stem) =>
      (ofStem.get(stem) ?? []).reduce<StemGroup>(promise, group),
    );
    if (changed === undefined) throw datasetNotFound(key.id);
    return promises;
  }

  /**
   * Takes in a file of at most `MAX_DIRECT_BYTES`: promised, received and judged before it returns.
   *
   * @throws ServiceError `invalid_content` where the file isn't fit to train on, `too_large`, `no_space` and others. The
   * file is not added then.
   */
  async receiveDirect(key: DatasetKey, rawFilename: string, arrival: Arrival): Promise<StoredFile> {
    const { catalog, now, rules, newId } = this.#parts;
    const filename = parseFilename(rawFilename);
    await this.#endArrivals();
    const createdAt = now();
    const [expiresAt, by] = [createdAt + rules.lease, newId()];
    const file = this.#pendingFile(key, filename, {
      createdAt,
      upload: { via: 'direct', promisedBytes: null, expiresAt, arrivingUntil: expiresAt, arrivingBy: by },
    });
    const dataset = await catalog.promiseDirect({ accountId: key.accountId, file });
    if (dataset === undefined) throw datasetNotFound(key.id);
    const limit = {
      bytes: MAX_DIRECT_BYTES,
      message: `${filename} is larger than ${MAX_DIRECT_BYTES} bytes, the limit of a direct upload. Use get-upload-endpoint for it.`,
    };
    return this.#receive(new HeldPromise(this.#parts, file, by), arrival, limit);
  }

  /**
   * Keeps the promise of a signed link. A second request for one link takes over from a first that is still under way:
   * its client has given up on that one.
   *
   * @param sizeBytes what the request announces
   * @throws ServiceError `link_withdrawn`, `upload_settled`, `wrong_size`, `too_large`, and as `receiveDirect`. But for a
   * file that was judged, the promise stays open for another try.
   */
  async receiveLink(link: SignedUpload, sizeBytes: number, { body, signal }: Arrival): Promise<StoredFile> {
    const { catalog } = this.#parts;
    const earlier = this.#arriving.get(link.fileId);
    earlier?.replace.abort(new ServiceError('upload_settled', 'A newer request uploads the same file.'));
    await earlier?.ended;
    await this.#endArrivals();
    const file = await catalog.file(link.fileId);
    if (file === undefined) {
      throw new ServiceError(
        'link_withdrawn',
        'This upload link was replaced by a newer one or its file was removed. Call get-upload-endpoint again.',
      );
    }
    if (file.upload.state !== 'pending') {
      throw new ServiceError(
        'upload_settled',
        `The upload of ${file.filename} through this link is complete. Call get-upload-endpoint again to replace the file.`,
      );
    }
    const message = `${file.filename} was promised with ${link.sizeBytes} bytes, and ${sizeBytes} were announced. Call get-upload-endpoint again with the true size.`;
    if (sizeBytes > link.sizeBytes) throw new ServiceError('too_large', message);
    if (sizeBytes < link.sizeBytes) throw new ServiceError('wrong_size', message);
    const held = await HeldPromise.begin(this.#parts, file as PendingFile);
    if (held === undefined) {
      throw new ServiceError('upload_settled', `${file.filename} is already being uploaded through this link.`);
    }
    const replace = new AbortController();
    const arrival = { body, signal: AbortSignal.any([signal, replace.signal]) };
    const received = this.#receive(held, arrival, { bytes: link.sizeBytes, message });
    const ended = received.catch(() => {}).finally(() => this.#arriving.delete(file.id));
    this.#arriving.set(file.id, { replace, ended });
    return received;
  }

  /** Whether this process is taking in an upload right now. */
  isArriving(fileId: string): boolean {
    return this.#receiving.has(fileId);
  }

  async #receive(
    held: HeldPromise,
    { body, signal, atMostBytes }: Arrival,
    limit: { bytes: number; message: string },
  ): Promise<StoredFile> {
    const { filename, id, upload } = held.file;
    this.#receiving.add(id);
    try {
      return await held.during(async () => {
        const staged = await this.#parts.blobs.stage(body, { key: blobKeyOf(held.file), limit, atMostBytes, signal });
        if (upload.promisedBytes !== null && upload.promisedBytes !== staged.sizeBytes) {
          await staged.discard();
          const message = `Only ${staged.sizeBytes} bytes of ${filename} arrived. Try again.`;
          throw new ServiceError('upload_cut_short', message);
        }
        return held.settle(staged, signal);
      });
    } catch (error) {
      this.#unended.add(held);
      await this.#endArrivals();
      throw error;
    } finally {
      this.#receiving.delete(id);
    }
  }

  /**
   * Gives up arrivals. What fails is tried again with the next upload, and at the latest the lease runs out by itself;
   * what went wrong first is the better thing to tell.
   */
  async #endArrivals(): Promise<void> {
    for (const held of [...this.#unended]) {
      if (this.#unended.delete(held)) await held.end().catch(() => this.#unended.add(held));
    }
  }

  #pendingFile(
    key: DatasetKey,
    filename: string,
    { createdAt, upload }: { createdAt: number; upload: Omit<PendingFile['upload'], 'state'> },
  ): PendingFile {
    const type = mediaTypeOf(filename);
    if (type === undefined) throw new Error(`${filename} has not been through parseFilename.`);
    return {
      id: this.#parts.newId(),
      datasetId: key.id,
      filename,
      kind: type.kind,
      createdAt,
      upload: { state: 'pending', ...upload },
    };
  }
}
