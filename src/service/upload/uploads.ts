import type { Readable } from 'node:stream';
import { withAnySignal } from '../../abort-signals.js';
import { MAX_BATCH_FILES, MAX_DIRECT_BYTES } from '../../api/limits.js';
import { stemGroupsOf } from '../../dataset/counts.js';
import {
  type Author,
  type DatasetFile,
  type Micros,
  type PendingFile,
  presignedMarginOf,
  type WriteCondition,
} from '../../dataset/dataset.js';
import { type FieldProblem, ServiceError } from '../../dataset/errors.js';
import { mediaTypeOf } from '../../dataset/media.js';
import { parseFilename } from '../../dataset/names.js';
import { meetsCondition, PreconditionFailed, reserve, type StemGroup } from '../../dataset/upload-transitions.js';
import { blobKeyOf } from '../../storage/blobs/blobs.js';
import { type DatasetKey, datasetNotFound, findRecord } from '../datasets.js';
import type { ServiceDependencies } from '../dependencies.js';
import type { Quota } from '../../storage/limits.js';
import type { SignedUpload } from '../signed-links.js';
import { type FinalizedFile, UploadLease } from './upload-lease.js';

/** The most conflicts that an answer lists. */
const MAX_REPORTED_CONFLICTS = 100;

/** The signal's reason is the error to answer with. */
interface IncomingBody {
  readonly body: Readable;
  readonly signal: AbortSignal;
  /** The Content-Length, which is at least the size of the file. */
  readonly atMostBytes?: number | undefined;
}

interface DirectBody extends IncomingBody {
  readonly author: Author;
  readonly condition?: WriteCondition | undefined;
}

interface LinkBody extends IncomingBody {
  /** Called before the bytes are received. */
  readonly onFile?: (file: DatasetFile) => void;
}

export class Uploads {
  readonly #dependencies: ServiceDependencies;
  /** Link uploads in flight by file id, which a newer request can replace. */
  readonly #linkUploads = new Map<string, { replace: AbortController; ended: Promise<unknown> }>();

  /** Limits the uploads that this process receives at once. */
  readonly #quota: Quota;

  constructor(dependencies: ServiceDependencies, quota: Quota) {
    this.#dependencies = dependencies;
    this.#quota = quota;
  }

  /**
   * Reserves uploads through signed links, all in one transaction.
   *
   * @param sizes the exact size in bytes of each file, by name, as `conditions`
   * @returns the pending file of each name
   * @throws ServiceError `dataset_not_found`, `quota_exceeded`, and as `parseUploadBatch`; PreconditionFailed with all names
   */
  async reserve(
    key: DatasetKey,
    sizes: ReadonlyMap<string, unknown>,
    { author, conditions = new Map() }: { author: Author; conditions?: ReadonlyMap<string, WriteCondition> },
  ): Promise<ReadonlyMap<string, PendingFile>> {
    const { catalog, now, rules } = this.#dependencies;
    const { counts } = await findRecord(catalog, key);
    const createdAt = now();
    const entries = parseUploadBatch(sizes, { maxBytes: rules.maxLinkBytes, conditions });
    await this.#requireConditions(key.id, entries);
    const files = new Map(entries.map((entry) => [entry.raw, this.#linkedFile(key, entry, { createdAt, author })]));
    const byStem = stemGroupsOf([...files.values()]);
    const filenames = entries.map(({ filename }) => filename);
    const change = { datasetId: key.id, filenames, now: createdAt, isActivity: true };
    const arrived = counts.pending > 0 ? await this.#arrived(key.id) : undefined;
    const changed = await catalog.change(change, (group, stem) =>
      (byStem.get(stem) ?? []).reduce<StemGroup>((files, file) => reserve(files, file, arrived), group),
    );
    if (changed === undefined) throw datasetNotFound(key.id);
    return files;
  }

  /** The ids of uploads that clients have written to the store, and that the next search will find. */
  async #arrived(datasetId: string): Promise<ReadonlySet<string>> {
    const ids = new Set<string>();
    for await (const page of this.#dependencies.blobs.staging?.list(datasetId) ?? []) {
      for (const { key } of page) ids.add(key.slice(datasetId.length + 1));
    }
    return ids;
  }

  #linkedFile(
    key: DatasetKey,
    { filename, sizeBytes, condition }: BatchEntry,
    { createdAt, author }: { createdAt: Micros; author: Author },
  ): PendingFile {
    const { blobs, rules } = this.#dependencies;
    const isPresigned = blobs.presigning !== undefined;
    const expiresAt = createdAt + rules.linkLifetime + (isPresigned ? presignedMarginOf(sizeBytes) : 0);
    const upload = {
      via: isPresigned ? 'presigned' : 'link',
      expectedBytes: sizeBytes,
      ...(condition && { condition }),
      author,
      expiresAt,
      leaseUntil: null,
      leaseToken: null,
    } as const;
    return this.#pendingFile(key, filename, { createdAt, upload });
  }

  /** Reports unmet conditions before a file is sent. Finalizing an upload decides. @throws PreconditionFailed */
  async #requireConditions(datasetId: string, entries: readonly BatchEntry[]): Promise<void> {
    const conditional = entries.filter(({ condition }) => condition !== undefined);
    if (conditional.length === 0) return;
    const filenames = conditional.map(({ filename }) => filename);
    const found = await this.#dependencies.catalog.storedFiles({ datasetId, filenames });
    const stored = new Map(found.map((file) => [file.filename, file]));
    const conflicts = conditional.filter(({ filename, condition }) => !meetsCondition(condition, stored.get(filename)));
    const [first] = conflicts;
    if (first === undefined) return;
    const detail = conflicts.slice(0, MAX_REPORTED_CONFLICTS).map(({ filename }) => {
      const current = stored.get(filename)?.upload;
      const message = current === undefined ? 'does not exist' : `has the ETag "${current.sha256}"`;
      return { path: `ifMatch.${filename}`, message };
    });
    throw new PreconditionFailed(first.filename, stored.get(first.filename)?.upload, { detail });
  }

  /** Stores a file of at most `MAX_DIRECT_BYTES`. @throws ServiceError `too_large`, `no_space`, and as `UploadLease.finalize` */
  async receiveDirect(key: DatasetKey, rawFilename: string, incoming: DirectBody): Promise<FinalizedFile> {
    const release = this.#quota.hold(key.accountId);
    try {
      const lease = await this.#reserveDirect(key, rawFilename, incoming);
      const { filename } = lease.file;
      const message = `${filename} is larger than ${MAX_DIRECT_BYTES} bytes, the limit of a direct upload. Use get-upload-endpoint for it.`;
      return await this.#receive(lease, incoming, { bytes: MAX_DIRECT_BYTES, message });
    } finally {
      release();
    }
  }

  async #reserveDirect(key: DatasetKey, rawFilename: string, { author, condition }: DirectBody): Promise<UploadLease> {
    const { catalog, now, rules, newId } = this.#dependencies;
    const filename = parseFilename(rawFilename);
    const createdAt = now();
    const expiresAt = createdAt + rules.leaseDuration;
    const token = newId();
    const lease = { leaseUntil: expiresAt, leaseToken: token };
    const file = this.#pendingFile(key, filename, {
      createdAt,
      upload: { via: 'direct', expectedBytes: null, ...(condition && { condition }), author, expiresAt, ...lease },
    });
    const dataset = await catalog.reserveDirect({ accountId: key.accountId, file });
    if (dataset === undefined) throw datasetNotFound(key.id);
    return new UploadLease(this.#dependencies, file, { token, until: expiresAt, ...dataset });
  }

  /**
   * Stores the file of a link. A newer request replaces one in flight, since a client retries only after it has given up.
   *
   * @param sizeBytes the Content-Length of the request
   * @throws ServiceError `link_withdrawn`, `upload_finalized`, `wrong_size`, `too_large`, and as `receiveDirect`. The link can be
   * used again, except after `invalid_content`.
   */
  async receiveLink(link: SignedUpload, sizeBytes: number, { body, signal, onFile }: LinkBody): Promise<FinalizedFile> {
    const { catalog } = this.#dependencies;
    const earlier = this.#linkUploads.get(link.fileId);
    earlier?.replace.abort(new ServiceError('upload_finalized', 'A newer request uploads the same file.'));
    await earlier?.ended;
    const file = await catalog.file(link.fileId);
    if (file === undefined) throw linkWithdrawn();
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
      if ((await catalog.file(link.fileId)) === undefined) throw linkWithdrawn();
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

  async #receive(
    lease: UploadLease,
    { body, signal, atMostBytes }: IncomingBody,
    limit: { bytes: number; message: string },
  ): Promise<FinalizedFile> {
    const { filename, upload } = lease.file;
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
      // Without a database, the lease expires.
      await lease.release().catch(() => {});
      throw error;
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

function linkWithdrawn(): ServiceError {
  const reason = 'This upload link was replaced by a newer one, or its file was deleted.';
  return new ServiceError('link_withdrawn', `${reason} Call get-upload-endpoint again.`);
}

/** Errors in `detail`. The errors of a large batch usually have one cause. */
const MAX_REPORTED_ERRORS = 100;

/** The most that `detail` shows of an invalid name. */
const MAX_SHOWN_CHARACTERS = 80;

interface BatchEntry {
  /** As the client sent it. */
  readonly raw: string;
  /** As stored. */
  readonly filename: string;
  readonly sizeBytes: number;
  readonly condition: WriteCondition | undefined;
}

/** Checks all files of a batch. @throws ServiceError with the code of the first error, and the first 100 errors in `detail` */
function parseUploadBatch(
  sizes: ReadonlyMap<string, unknown>,
  { maxBytes, conditions }: { maxBytes: number; conditions: ReadonlyMap<string, WriteCondition> },
): BatchEntry[] {
  if (sizes.size > MAX_BATCH_FILES) {
    const message = `The batch has ${sizes.size} files, but at most ${MAX_BATCH_FILES} are allowed. Send several batches.`;
    throw new ServiceError('too_large', message);
  }
  const entries: BatchEntry[] = [];
  const errors: { code: ServiceError['code']; problem: FieldProblem }[] = [];
  const names = new Set<string>();
  for (const [raw, size] of sizes) {
    try {
      const filename = parseFilename(raw);
      const sizeBytes = parseSize(raw, size, maxBytes);
      if (names.has(filename)) {
        const message = `${raw} is in the batch twice, in two Unicode forms of the same name. Send it once.`;
        throw new ServiceError('invalid_name', message);
      }
      names.add(filename);
      entries.push({ raw, filename, sizeBytes, condition: conditions.get(raw) });
    } catch (error) {
      if (!(error instanceof ServiceError)) throw error;
      errors.push({
        code: error.code,
        problem: { path: `filenameToByteSize.${raw.slice(0, MAX_SHOWN_CHARACTERS)}`, message: error.message },
      });
    }
  }
  const [first, ...others] = errors;
  if (first === undefined) return entries;
  const more = others.length === 0 ? '' : ` ${others.length} more files of the batch have errors; see detail.`;
  throw new ServiceError(first.code, `${first.problem.message}${more}`, {
    detail: errors.slice(0, MAX_REPORTED_ERRORS).map((error) => error.problem),
  });
}

function parseSize(raw: string, size: unknown, maxBytes: number): number {
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size <= 0) {
    const given = ['number', 'boolean'].includes(typeof size) ? `${size}` : 'not a number';
    const message = `The size of ${raw} is ${given}; it must be the file's exact size in bytes, at least 1.`;
    throw new ServiceError('invalid_field', message);
  }
  if (size > maxBytes) {
    const message = `${raw} has ${size} bytes; this server accepts files of up to ${maxBytes} bytes.`;
    throw new ServiceError('too_large', message);
  }
  return size;
}
