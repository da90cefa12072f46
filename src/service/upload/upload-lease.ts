import { withAnySignal } from '../../abort-signals.js';
import type { CompleteFile, DatasetFile, Micros, PendingFile, Role } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import type { ErrorProblem } from '../../dataset/problems.js';
import {
  acquireLease,
  changedMeanwhile,
  finalize,
  type LeaseHolder,
  PreconditionFailed,
  reject,
  releaseLease,
  renewLease,
  requireCondition,
  type StemGroup,
  withdraw,
} from '../../dataset/upload-transitions.js';
import { blobKeyOf, BlobsNotDeleted, type StagedBlob } from '../../storage/blobs/blobs.js';
import type { ChangedDataset, FileChange } from '../../storage/catalog/file-changes.js';
import { inspectFile } from '../check.js';
import type { ServiceDependencies } from '../dependencies.js';

export type FinalizedFile = CompleteFile & {
  /** `undefined` if the file is still checked, or replaced the same bytes. */
  readonly recordedIn?: number | undefined;
};

/** The exclusive right to finalize a pending upload and to write its bytes. The methods of a former holder change nothing. */
export class UploadLease {
  readonly file: PendingFile;
  readonly #dependencies: ServiceDependencies;
  readonly accountId: string;
  /** The role of the dataset when the lease was acquired. */
  readonly #role: Role;
  readonly #holder: LeaseHolder;
  /** The end of the lease; then cleanup may end the upload. */
  #until: Micros;
  /** Whether the store may hold bytes that no row refers to. */
  #mayHaveBlobs = false;
  /** Whether the condition of the upload is not met: its link accepts no other attempt. */
  #isInConflict = false;

  constructor(
    dependencies: ServiceDependencies,
    file: PendingFile,
    { token, until, accountId, role }: { token: string; until: Micros; accountId: string; role: Role },
  ) {
    this.#dependencies = dependencies;
    this.file = file;
    this.accountId = accountId;
    this.#role = role;
    this.#holder = { id: file.id, token };
    this.#until = until;
  }

  /**
   * Acquires the lease; `undefined` if another holder has it or the upload is no longer pending.
   *
   * @param options.expiredBy leases that expire by then may be taken over; the current time by default
   */
  static async acquire(
    dependencies: ServiceDependencies,
    file: PendingFile,
    options: { expiredBy?: Micros; isActivity?: boolean; isDurable?: boolean } = {},
  ): Promise<UploadLease | undefined> {
    const { catalog, now, rules, newId } = dependencies;
    const { expiredBy = now(), ...changeOptions } = options;
    const lease = { now: expiredBy, until: now() + rules.leaseDuration, token: newId() };
    const { id, datasetId, filename } = file;
    const change = { datasetId, filenames: [filename], now: now(), isActivity: true, ...changeOptions };
    const changed = await catalog.change(change, (group) => acquireLease(group, id, lease));
    if (changed === undefined) return undefined;
    const { accountId, role } = changed;
    return new UploadLease(dependencies, file, { ...lease, accountId, role });
  }

  whileRenewing<T>(work: () => Promise<T>): Promise<T> {
    const { leaseDuration } = this.#dependencies.rules;
    // The work of a former holder changes nothing, and its error tells the client.
    return whileRenewing({ leaseDuration, renew: () => this.renew() }, work);
  }

  /** @returns false if the lease was lost */
  async renew(): Promise<boolean> {
    const { now, rules } = this.#dependencies;
    const lease = { now: now(), until: now() + rules.leaseDuration };
    const change = this.#change((group) => renewLease(group, this.#holder, lease), { isActivity: false });
    if ((await change) === undefined) return false;
    this.#until = lease.until;
    return true;
  }

  /** The upload of a link stays for another attempt, unless its condition is not met; a direct upload is removed. */
  async release(): Promise<void> {
    // A failed commit may have stored the bytes. The next attempt needs their key.
    if (this.#mayHaveBlobs && this.file.upload.via !== 'direct') {
      if (!(await this.renew())) return;
      await this.#dependencies.blobs.delete([blobKeyOf(this.file)]);
      this.#mayHaveBlobs = false;
    }
    const end = this.#isInConflict ? withdraw : releaseLease;
    await this.#change((group) => end(group, this.#holder), { mayHaveBlobs: this.#mayHaveBlobs });
  }

  /** Checks the condition before the bytes arrive; `finalize` decides. @throws PreconditionFailed */
  async requireCondition(): Promise<void> {
    const { datasetId, filename, upload } = this.file;
    if (upload.condition === undefined) return;
    const stored = await this.#dependencies.catalog.storedFile({ datasetId, filename });
    try {
      requireCondition(upload.condition, filename, stored);
    } catch (error) {
      this.#isInConflict = true;
      throw error;
    }
  }

  /**
   * Inspects the bytes, and stores or rejects the file. One that takes long is recorded as received, and inspected later.
   *
   * @throws ServiceError `invalid_content`; `link_withdrawn` if the file or its dataset was removed; `unavailable` if the client
   * should send the file again; PreconditionFailed
   */
  async finalize(staged: StagedBlob, signal: AbortSignal): Promise<FinalizedFile> {
    const { now, rules } = this.#dependencies;
    const { filename } = this.file;
    const { path, sizeBytes, sha256 } = staged;
    const options = { accountId: this.accountId, role: this.#role, signal, maxSeconds: rules.maxInlineSeconds };
    const inspecting = inspectFile(this.#dependencies, { path, sizeBytes, filename }, options);
    const { inspection, isComplete } = await inspecting.catch(async (error) => {
      await staged.discard();
      throw error;
    });
    if (!inspection.ok) {
      await staged.discard();
      return this.reject(inspection.problem);
    }
    const { version: blobVersion } = await this.#commit(staged);
    const { contentType, facts, warnings } = inspection;
    const bytes = { sizeBytes, sha256, contentType, facts, warnings, blobVersion };
    if (isComplete) return this.#record({ state: 'stored', ...bytes, finalizedAt: now() });
    const { condition, author } = this.file.upload;
    const origin = { ...(condition && { condition }), ...(author && { author }) };
    return this.#record({ state: 'received', ...bytes, receivedAt: now(), ...origin });
  }

  /** @throws ServiceError `invalid_content`; `link_withdrawn` and `unavailable` as `finalize` */
  async reject(problem: ErrorProblem): Promise<never> {
    const rejected = { state: 'rejected', problem, finalizedAt: this.#dependencies.now() } as const;
    const change = this.#change((group) => reject(group, this.#holder, rejected), { mayHaveBlobs: false });
    // Another holder may be reading the same bytes, and judges them.
    if ((await change) === undefined) throw this.#lost(await this.#currentFile());
    throw new ServiceError('invalid_content', problem.message);
  }

  /** Moves the bytes to their key. Bytes that are there are a former holder's, and are deleted so that the next attempt succeeds. */
  async #commit(staged: StagedBlob): Promise<{ version: string | null }> {
    const key = blobKeyOf(this.file);
    this.#mayHaveBlobs = true;
    return staged.commit().catch(async (error) => {
      const keyExists = error instanceof ServiceError && error.code === 'upload_finalized';
      if (!keyExists || !(await this.renew())) throw error;
      await this.#dependencies.blobs.delete([key]);
      const message = `${this.file.filename} could not be stored. Send it again.`;
      throw new ServiceError('unavailable', message, { cause: error });
    });
  }

  async #record(upload: CompleteFile['upload']): Promise<FinalizedFile> {
    const complete = { ...this.file, upload } as CompleteFile;
    let failure: unknown;
    const recorded = await this.#change((group) => finalize(group, this.#holder, upload), {
      inspectedAs: this.#role,
    }).catch((error) => {
      failure = error;
    });
    if (recorded) return { ...complete, recordedIn: recorded.recordedIn };
    // An error can hide a commit that succeeded, so the catalog decides.
    const file = await this.#currentFile();
    if (file !== undefined && file.upload.state !== 'pending') return complete;
    // Another upload has replaced it since, so the history refers to the bytes.
    if (file === undefined && (await this.#dependencies.catalog.revisions.isPast(this.file.id))) return complete;
    // After a takeover the bytes may be the new holder's.
    const isHeld = file?.upload.state === 'pending' && file.upload.leaseToken === this.#holder.token;
    if (file === undefined || isHeld) await this.#dependencies.blobs.delete([blobKeyOf(this.file)]);
    this.#mayHaveBlobs = false;
    if (failure instanceof PreconditionFailed) {
      this.#isInConflict = true;
      if (this.file.upload.via === 'presigned') {
        // A client that did not see the answer has uploaded the same bytes again.
        if (failure.current?.sha256 === upload.sha256) return this.release().then(() => complete);
        // The client has its answer from the store, so the dataset tells of the conflict.
        return this.reject(changedMeanwhile(this.file.filename));
      }
    }
    if (failure !== undefined) throw failure;
    throw this.#lost(file);
  }

  /** @param file as it is now */
  #lost(file: DatasetFile | undefined): ServiceError {
    const { filename, upload } = this.file;
    // Cleanup removes an expired direct upload with its file.
    const isCleanedUp = upload.via === 'direct' && this.#until <= this.#dependencies.now();
    if (file === undefined && !isCleanedUp) {
      const message = `${filename} or its dataset was deleted during the upload, so the file was not stored.`;
      return new ServiceError('link_withdrawn', message);
    }
    return new ServiceError('unavailable', `The upload of ${filename} stalled and was ended. Send it again.`);
  }

  /** Reads in a change that writes nothing, which waits for the change whose outcome is unknown. */
  async #currentFile(): Promise<DatasetFile | undefined> {
    let found: DatasetFile | undefined;
    await this.#change((group) => {
      found = group.find(({ id }) => id === this.file.id);
      return undefined;
    });
    return found;
  }

  async #change(
    transition: (group: StemGroup) => StemGroup | undefined,
    options: Partial<Pick<FileChange, 'isActivity' | 'mayHaveBlobs' | 'inspectedAs'>> = {},
  ): Promise<ChangedDataset | undefined> {
    const { datasetId, filename } = this.file;
    const change = { datasetId, filenames: [filename], now: this.#dependencies.now(), isActivity: true, ...options };
    return this.#dependencies.catalog.change(change, transition);
  }
}

/**
 * Releases expired leases, and deletes the bytes of their uploads.
 *
 * @param options.isLiveToo also live ones: all belong to an earlier process, if this one uses the catalog alone and starts
 * @throws BlobsNotDeleted if the store keeps some bytes. A later call releases their leases.
 */
export async function releaseLeases(
  dependencies: ServiceDependencies,
  { isLiveToo = false, signal }: { isLiveToo?: boolean; signal?: AbortSignal } = {},
): Promise<void> {
  const { catalog, blobs, now } = dependencies;
  const expiredBy = isLiveToo ? Number.MAX_SAFE_INTEGER : now();
  let failure: BlobsNotDeleted | undefined;
  for (const file of await catalog.expiredLeases(expiredBy)) {
    if (signal?.aborted) break;
    // Only a holder may delete the bytes, and another process or attempt may be first.
    const lease = await UploadLease.acquire(dependencies, file, { expiredBy, isActivity: false, isDurable: false });
    try {
      if (lease !== undefined) await blobs.delete([blobKeyOf(file)]);
      await lease?.release();
    } catch (error) {
      if (!(error instanceof BlobsNotDeleted)) throw error;
      failure ??= error;
    }
  }
  if (failure !== undefined) throw failure;
}

const RENEWALS_PER_LEASE = 5;

export class LeaseLost extends Error {
  constructor() {
    super('The lease was lost.');
  }
}

/**
 * Runs `work` and renews a lease until it ends. A failed renewal is ignored, since the lease outlives several of them.
 *
 * @param options.renew returns false if the lease is lost; then the signal of `work` fires with `LeaseLost`
 */
export async function whileRenewing<T>(
  { leaseDuration, renew, signal }: { leaseDuration: Micros; renew: () => Promise<boolean>; signal?: AbortSignal },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const lost = new AbortController();
  const heartbeat = setInterval(
    () =>
      renew().then(
        (isHeld) => {
          if (!isHeld) lost.abort(new LeaseLost());
        },
        () => {},
      ),
    leaseDuration / 1000 / RENEWALS_PER_LEASE,
  );
  try {
    return await withAnySignal([signal, lost.signal], work);
  } finally {
    clearInterval(heartbeat);
  }
}
