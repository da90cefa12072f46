import type { Readable } from 'node:stream';
import { withAnySignal } from '../../abort-signals.js';
import { MAX_DIRECT_BYTES } from '../../api/limits.js';
import { stemGroupsOf, uploadsIn } from '../../dataset/counts.js';
import {
  type Author,
  type DatasetFile,
  DETECTION_MARGIN,
  type Micros,
  type PendingFile,
  type WriteCondition,
} from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import { mediaTypeOf } from '../../dataset/media.js';
import { parseFilename } from '../../dataset/names.js';
import { reserve, type StemGroup } from '../../dataset/upload-transitions.js';
import { PreconditionFailed } from '../../dataset/write-condition.js';
import { blobKeyOf } from '../../storage/blobs/blobs.js';
import { type DatasetKey, datasetNotFound } from '../datasets.js';
import type { ServiceDependencies } from '../dependencies.js';
import type { Quota } from '../limits/quota.js';
import { unmetConditions } from '../unmet-conditions.js';
import { type BatchEntry, type BatchOptions, parseUploadBatch } from './parse-upload-batch.js';
import { UnreleasedLeases } from './unreleased-leases.js';
import { type FinalizedFile, UploadLease } from './upload-lease.js';
import type { SignedUpload } from './upload-links.js';

/** A transaction blocks all other writes, so a large batch is reserved in several; one takes some 10 ms. */
const FILES_PER_TRANSACTION = 100;

/** Conflicts of a batch that an answer lists. */
const MAX_REPORTED_CONFLICTS = 100;

/** A request body that is being received. The signal's reason is the error to answer with. */
export interface IncomingBody {
  readonly body: Readable;
  readonly signal: AbortSignal;
  /** The Content-Length of the request, which is an upper bound of the file's size. */
  readonly atMostBytes?: number | undefined;
}

export interface DirectBody extends IncomingBody {
  readonly author: Author;
  readonly condition?: WriteCondition | undefined;
}

export interface LinkBody extends IncomingBody {
  /** Called with the file of the link before its bytes are received, also where the upload then fails. */
  readonly onFile?: (file: DatasetFile) => void;
}

/** Reserves, receives and finalizes uploads. */
export class Uploads {
  readonly #dependencies: ServiceDependencies;
  /** Link uploads that this process is receiving, by file id, so that a newer request can replace one. */
  readonly #linkUploads = new Map<string, { replace: AbortController; ended: Promise<unknown> }>();
  /** Ids of all files that this process is receiving. */
  readonly #receivingIds = new Set<string>();
  readonly #unreleasedLeases = new UnreleasedLeases();

  /** Of the uploads that this process receives at once. */
  readonly #quota: Quota;

  constructor(dependencies: ServiceDependencies, quota: Quota) {
    this.#dependencies = dependencies;
    this.#quota = quota;
  }

  /**
   * Reserves uploads through signed links, and yields them some at a time: a large batch, all at once, would take a hundred
   * megabytes. None is durable before the last; if a reservation fails, the signal fires, or the caller stops early, those before
   * are withdrawn.
   *
   * @param sizes the exact size in bytes of each file, by name
   * @param options.conditions of files among them, by the same names
   * @returns the pending file of each name as given
   * @throws ServiceError `dataset_not_found`; `invalid_name`, `unsupported_type` and others, with the first 100 errors in `detail`;
   * PreconditionFailed, with the names in `detail`, if conditions are not met; the signal's reason
   */
  async *reserveBatch(
    key: DatasetKey,
    sizes: ReadonlyMap<string, unknown>,
    { author, conditions, signal }: BatchOptions,
  ): AsyncGenerator<ReadonlyMap<string, PendingFile>> {
    const { catalog, now, rules } = this.#dependencies;
    const dataset = await catalog.record(key);
    if (dataset === undefined) throw datasetNotFound(key.id);
    const createdAt = now();
    const entries = parseUploadBatch(sizes, { maxBytes: rules.maxLinkBytes, conditions });
    await this.#requireConditions(key, entries);
    if (uploadsIn(dataset.counts) + entries.length > catalog.limits.datasetFiles) {
      const all = entries.map((entry) => this.#linkedFile(key, entry, { createdAt, author }));
      await this.#reserveSlice(key, all, { isDurable: false, isTrial: true });
    }
    const reservedIds = new Set<string>();
    let isComplete = false;
    try {
      for (let start = 0; start < entries.length; start += FILES_PER_TRANSACTION) {
        signal?.throwIfAborted();
        const end = start + FILES_PER_TRANSACTION;
        const linked = (entry: BatchEntry) => [entry.raw, this.#linkedFile(key, entry, { createdAt, author })] as const;
        const slice = new Map(entries.slice(start, end).map(linked));
        const files = [...slice.values()];
        // The last commit makes those before it durable too.
        await this.#reserveSlice(key, files, { isDurable: end >= entries.length });
        for (const { id } of files) reservedIds.add(id);
        yield slice;
      }
      isComplete = true;
    } finally {
      if (!isComplete) await this.#withdraw(key, entries.slice(0, reservedIds.size), reservedIds).catch(() => {});
    }
  }

  #linkedFile(
    key: DatasetKey,
    { filename, sizeBytes, condition }: BatchEntry,
    { createdAt, author }: { createdAt: Micros; author: Author },
  ): PendingFile {
    const { blobs, rules } = this.#dependencies;
    const isPresigned = blobs.presigning !== undefined;
    const expiresAt = createdAt + rules.linkLifetime + (isPresigned ? DETECTION_MARGIN : 0);
    const via = isPresigned ? 'presigned' : 'link';
    const conditional = condition !== undefined && { condition };
    const lease = { leaseUntil: null, leaseToken: null };
    const upload = { via, expectedBytes: sizeBytes, ...conditional, author, expiresAt, ...lease } as const;
    return this.#pendingFile(key, filename, { createdAt, upload });
  }

  /** Reports conditions that are not met before any file is sent. Finalizing an upload decides. */
  async #requireConditions(key: DatasetKey, entries: readonly BatchEntry[]): Promise<void> {
    const conflicts = [...(await unmetConditions(this.#dependencies, key.id, entries))];
    const [first] = conflicts;
    if (first === undefined) return;
    const detail = conflicts.slice(0, MAX_REPORTED_CONFLICTS).map(([filename, current]) => {
      const message = current === undefined ? 'does not exist' : `has the ETag "${current.sha256}"`;
      return { path: `ifMatch.${filename}`, message };
    });
    throw new PreconditionFailed(...first, { detail });
  }

  /** @throws ServiceError `dataset_not_found`, `quota_exceeded` */
  async #reserveSlice(
    key: DatasetKey,
    files: readonly PendingFile[],
    options: { isDurable: boolean; isTrial?: boolean },
  ): Promise<void> {
    const byStem = stemGroupsOf(files);
    const changed = await this.#dependencies.catalog.change(
      {
        datasetId: key.id,
        filenames: files.map(({ filename }) => filename),
        now: this.#dependencies.now(),
        isActivity: true,
        ...options,
      },
      (group, stem) => (byStem.get(stem) ?? []).reduce<StemGroup>(reserve, group),
    );
    if (changed === undefined && options.isTrial !== true) throw datasetNotFound(key.id);
  }

  /** Removes reservations of a batch that failed. As with those, the last commit makes the others durable. */
  async #withdraw(key: DatasetKey, entries: readonly BatchEntry[], ids: ReadonlySet<string>): Promise<void> {
    const { catalog, now } = this.#dependencies;
    for (let start = 0; start < entries.length; start += FILES_PER_TRANSACTION) {
      const end = start + FILES_PER_TRANSACTION;
      const filenames = entries.slice(start, end).map(({ filename }) => filename);
      const isDurable = end >= entries.length;
      const change = { datasetId: key.id, filenames, now: now(), isActivity: true, isDurable };
      await catalog.change(change, (group) => group.filter(({ id }) => !ids.has(id)));
    }
  }

  /**
   * Reserves, receives and finalizes a file of at most `MAX_DIRECT_BYTES`.
   *
   * @throws ServiceError `invalid_content` if the file isn't fit to train on, `too_large`, `no_space`, `quota_exceeded`,
   * `too_many_uploads` and others; PreconditionFailed. Nothing is stored then.
   */
  async receiveDirect(key: DatasetKey, rawFilename: string, incoming: DirectBody): Promise<FinalizedFile> {
    const release = this.#quota.hold(key.accountId);
    return this.#receiveDirect(key, rawFilename, incoming).finally(release);
  }

  async #receiveDirect(
    key: DatasetKey,
    rawFilename: string,
    { author, condition, ...incoming }: DirectBody,
  ): Promise<FinalizedFile> {
    const { catalog, now, rules, newId } = this.#dependencies;
    const filename = parseFilename(rawFilename);
    await this.#unreleasedLeases.release();
    const createdAt = now();
    const expiresAt = createdAt + rules.leaseDuration;
    const token = newId();
    const file = this.#pendingFile(key, filename, {
      createdAt,
      upload: {
        via: 'direct',
        expectedBytes: null,
        ...(condition !== undefined && { condition }),
        author,
        expiresAt,
        leaseUntil: expiresAt,
        leaseToken: token,
      },
    });
    const dataset = await catalog.reserveDirect({ accountId: key.accountId, file });
    if (dataset === undefined) throw datasetNotFound(key.id);
    const limit = {
      bytes: MAX_DIRECT_BYTES,
      message: `${filename} is larger than ${MAX_DIRECT_BYTES} bytes, the limit of a direct upload. Use get-upload-endpoint for it.`,
    };
    const { accountId, role } = dataset;
    const lease = new UploadLease(this.#dependencies, file, { token, until: expiresAt, accountId, role });
    return this.#receive(lease, incoming, limit);
  }

  /**
   * Receives and finalizes an upload through a signed link. A newer request through the same link replaces one in flight,
   * since a client retries only after it has given up on the earlier request.
   *
   * @param sizeBytes the Content-Length of the request
   * @throws ServiceError `link_withdrawn`, `upload_finalized`, `wrong_size`, `too_large`, and as `receiveDirect`. The link
   * can be used again, except after `invalid_content`.
   */
  async receiveLink(link: SignedUpload, sizeBytes: number, { body, signal, onFile }: LinkBody): Promise<FinalizedFile> {
    const { catalog } = this.#dependencies;
    const earlier = this.#linkUploads.get(link.fileId);
    earlier?.replace.abort(new ServiceError('upload_finalized', 'A newer request uploads the same file.'));
    await earlier?.ended;
    await this.#unreleasedLeases.release();
    const file = await catalog.file(link.fileId);
    if (file === undefined) {
      const reason = 'This upload link was replaced by a newer one, or its file was deleted.';
      throw new ServiceError('link_withdrawn', `${reason} Call get-upload-endpoint again.`);
    }
    onFile?.(file);
    if (file.upload.state !== 'pending') {
      const reason = `${file.filename} was already uploaded through this link.`;
      throw new ServiceError('upload_finalized', `${reason} Call get-upload-endpoint again to replace the file.`);
    }
    const message = `This link takes exactly ${link.sizeBytes} bytes for ${file.filename}, but the request has ${sizeBytes}. Call get-upload-endpoint again with the exact size.`;
    if (sizeBytes > link.sizeBytes) throw new ServiceError('too_large', message);
    if (sizeBytes < link.sizeBytes) throw new ServiceError('wrong_size', message);
    const lease = await UploadLease.acquire(this.#dependencies, file as PendingFile);
    if (lease === undefined) {
      throw new ServiceError('upload_finalized', `Another request is uploading ${file.filename} through this link.`);
    }
    const replace = new AbortController();
    let release: () => void;
    try {
      release = this.#quota.hold(lease.accountId);
    } catch (error) {
      await lease.release();
      throw error;
    }
    const received = withAnySignal([signal, replace.signal], (either) =>
      this.#receive(lease, { body, signal: either }, { bytes: link.sizeBytes, message }),
    ).finally(release);
    const ended = received.catch(() => {}).finally(() => this.#linkUploads.delete(file.id));
    this.#linkUploads.set(file.id, { replace, ended });
    return received;
  }

  /** Whether this process is receiving the upload. */
  isReceiving(fileId: string): boolean {
    return this.#receivingIds.has(fileId);
  }

  async #receive(
    lease: UploadLease,
    { body, signal, atMostBytes }: IncomingBody,
    limit: { bytes: number; message: string },
  ): Promise<FinalizedFile> {
    const { filename, id, upload } = lease.file;
    this.#receivingIds.add(id);
    try {
      return await lease.whileRenewing(async () => {
        await lease.requireCondition();
        const options = { key: blobKeyOf(lease.file), limit, atMostBytes, accountId: lease.accountId, signal };
        const staged = await this.#dependencies.blobs.stage(body, options);
        if (upload.expectedBytes !== null && upload.expectedBytes !== staged.sizeBytes) {
          await staged.discard();
          const message = `Only ${staged.sizeBytes} of ${upload.expectedBytes} bytes of ${filename} arrived. Send it again.`;
          throw new ServiceError('upload_cut_short', message);
        }
        return lease.finalize(staged, signal);
      });
    } catch (error) {
      this.#unreleasedLeases.add(lease);
      await this.#unreleasedLeases.release();
      throw error;
    } finally {
      this.#receivingIds.delete(id);
    }
  }

  #pendingFile(
    key: DatasetKey,
    filename: string,
    { createdAt, upload }: { createdAt: number; upload: Omit<PendingFile['upload'], 'state'> },
  ): PendingFile {
    const type = mediaTypeOf(filename);
    if (type === undefined) throw new Error(`${filename} was not checked by parseFilename.`);
    const id = this.#dependencies.newId();
    return { id, datasetId: key.id, filename, kind: type.kind, createdAt, upload: { state: 'pending', ...upload } };
  }
}
