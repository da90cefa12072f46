import type { Readable } from 'node:stream';
import { MAX_DIRECT_BYTES } from '../../api/limits.js';
import { stemGroupsOf } from '../../dataset/counts.js';
import type { PendingFile, StoredFile } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import { mediaTypeOf } from '../../dataset/media.js';
import { parseFilename } from '../../dataset/names.js';
import { reserve, type StemGroup } from '../../dataset/upload-transitions.js';
import { blobKeyOf } from '../../storage/blobs/blobs.js';
import { type DatasetKey, datasetNotFound } from '../datasets.js';
import type { ServiceDependencies } from '../dependencies.js';
import { parseUploadBatch } from './parse-upload-batch.js';
import { UploadLease } from './upload-lease.js';
import { DETECTION_MARGIN, type SignedUpload } from './upload-links.js';

/** A body on its way in; the signal's reason says why it must stop. */
export interface IncomingBody {
  readonly body: Readable;
  readonly signal: AbortSignal;
  /** What the request announces: there are no more bytes in it than that. */
  readonly atMostBytes?: number | undefined;
}

/** How files come in: promised, received, judged, and then kept or refused with a reason. */
export class Uploads {
  readonly #dependencies: ServiceDependencies;
  /** What this process is taking in through links, by file id, so that a newer request can take over. */
  readonly #arriving = new Map<string, { replace: AbortController; ended: Promise<unknown> }>();
  /** Everything that this process is taking in. */
  readonly #receiving = new Set<string>();
  /** Uploads that are over without the catalog knowing: a full disk takes no row either. */
  readonly #unended = new Set<UploadLease>();

  constructor(dependencies: ServiceDependencies) {
    this.#dependencies = dependencies;
  }

  /**
   * Promises a batch of files, name to size in bytes, to be brought through signed links.
   *
   * @returns a promise for each name as it was given.
   * @throws ServiceError `dataset_not_found`; `invalid_name`, `unsupported_type` and others with all faults in `detail`.
   * Nothing is promised then.
   */
  async reserveBatch(key: DatasetKey, sizes: ReadonlyMap<string, number>): Promise<Map<string, PendingFile>> {
    const { blobs, catalog, now, rules } = this.#dependencies;
    if ((await catalog.dataset(key)) === undefined) throw datasetNotFound(key.id);
    const createdAt = now();
    const mostPresigned = blobs.presigning?.maxBytes ?? 0;
    const promises = new Map<string, PendingFile>();
    for (const { raw, filename, sizeBytes } of parseUploadBatch(sizes, rules.maxLinkBytes)) {
      const isPresigned = sizeBytes <= mostPresigned;
      const expiresAt = createdAt + rules.linkLifetime + (isPresigned ? DETECTION_MARGIN : 0);
      const promised = { expectedBytes: sizeBytes, expiresAt, leaseUntil: null, leaseToken: null };
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
      (ofStem.get(stem) ?? []).reduce<StemGroup>(reserve, group),
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
  async receiveDirect(key: DatasetKey, rawFilename: string, arrival: IncomingBody): Promise<StoredFile> {
    const { catalog, now, rules, newId } = this.#dependencies;
    const filename = parseFilename(rawFilename);
    await this.#endArrivals();
    const createdAt = now();
    const [expiresAt, by] = [createdAt + rules.leaseDuration, newId()];
    const file = this.#pendingFile(key, filename, {
      createdAt,
      upload: { via: 'direct', expectedBytes: null, expiresAt, leaseUntil: expiresAt, leaseToken: by },
    });
    const dataset = await catalog.reserveDirect({ accountId: key.accountId, file });
    if (dataset === undefined) throw datasetNotFound(key.id);
    const limit = {
      bytes: MAX_DIRECT_BYTES,
      message: `${filename} is larger than ${MAX_DIRECT_BYTES} bytes, the limit of a direct upload. Use get-upload-endpoint for it.`,
    };
    return this.#receive(new UploadLease(this.#dependencies, file, by), arrival, limit);
  }

  /**
   * Keeps the promise of a signed link. A second request for one link takes over from a first that is still under way:
   * its client has given up on that one.
   *
   * @param sizeBytes what the request announces
   * @throws ServiceError `link_withdrawn`, `upload_finalized`, `wrong_size`, `too_large`, and as `receiveDirect`. But for a
   * file that was judged, the promise stays open for another try.
   */
  async receiveLink(link: SignedUpload, sizeBytes: number, { body, signal }: IncomingBody): Promise<StoredFile> {
    const { catalog } = this.#dependencies;
    const earlier = this.#arriving.get(link.fileId);
    earlier?.replace.abort(new ServiceError('upload_finalized', 'A newer request uploads the same file.'));
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
        'upload_finalized',
        `The upload of ${file.filename} through this link is complete. Call get-upload-endpoint again to replace the file.`,
      );
    }
    const message = `${file.filename} was promised with ${link.sizeBytes} bytes, and ${sizeBytes} were announced. Call get-upload-endpoint again with the true size.`;
    if (sizeBytes > link.sizeBytes) throw new ServiceError('too_large', message);
    if (sizeBytes < link.sizeBytes) throw new ServiceError('wrong_size', message);
    const lease = await UploadLease.acquire(this.#dependencies, file as PendingFile);
    if (lease === undefined) {
      throw new ServiceError('upload_finalized', `${file.filename} is already being uploaded through this link.`);
    }
    const replace = new AbortController();
    const arrival = { body, signal: AbortSignal.any([signal, replace.signal]) };
    const received = this.#receive(lease, arrival, { bytes: link.sizeBytes, message });
    const ended = received.catch(() => {}).finally(() => this.#arriving.delete(file.id));
    this.#arriving.set(file.id, { replace, ended });
    return received;
  }

  /** Whether this process is taking in an upload right now. */
  isReceiving(fileId: string): boolean {
    return this.#receiving.has(fileId);
  }

  async #receive(
    lease: UploadLease,
    { body, signal, atMostBytes }: IncomingBody,
    limit: { bytes: number; message: string },
  ): Promise<StoredFile> {
    const { filename, id, upload } = lease.file;
    this.#receiving.add(id);
    try {
      return await lease.whileRenewing(async () => {
        const staged = await this.#dependencies.blobs.stage(body, {
          key: blobKeyOf(lease.file),
          limit,
          atMostBytes,
          signal,
        });
        if (upload.expectedBytes !== null && upload.expectedBytes !== staged.sizeBytes) {
          await staged.discard();
          const message = `Only ${staged.sizeBytes} bytes of ${filename} arrived. Try again.`;
          throw new ServiceError('upload_cut_short', message);
        }
        return lease.finalize(staged, signal);
      });
    } catch (error) {
      this.#unended.add(lease);
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
    for (const lease of [...this.#unended]) {
      if (this.#unended.delete(lease)) await lease.release().catch(() => this.#unended.add(lease));
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
      id: this.#dependencies.newId(),
      datasetId: key.id,
      filename,
      kind: type.kind,
      createdAt,
      upload: { state: 'pending', ...upload },
    };
  }
}
