import type { DatasetFile, Micros, PendingFile, StoredFile } from '../../dataset/dataset.js';
import { ServiceError } from '../../dataset/errors.js';
import type { ErrorProblem } from '../../dataset/problems.js';
import {
  acquireLease,
  finalize,
  type LeaseHolder,
  reject,
  releaseLease,
  renewLease,
  type StemGroup,
} from '../../dataset/upload-transitions.js';
import { blobKeyOf, type StagedBlob } from '../../storage/blobs/blobs.js';
import type { ServiceDependencies } from '../dependencies.js';

/** Signs of life in the time within which one is due. */
const RENEWALS_PER_LEASE = 5;

/**
 * A promise whose bytes somebody is taking in. The lease that holds it may be lost, to a sweep or to another attempt, and
 * then nothing can be done with it any more: only the holder touches the bytes under the file's key.
 */
export class UploadLease {
  readonly file: PendingFile;
  readonly #dependencies: ServiceDependencies;
  readonly #holder: LeaseHolder;
  /** What a client brought to the store itself is not ours to take away, but for what the catalog gives to the trash. */
  readonly #bringsBytes: boolean;
  /** Whether there may be bytes under the key that nobody will ask for. */
  #leavesBytes = false;

  /** @param token the token under which the promise was made or begun */
  constructor(dependencies: ServiceDependencies, file: PendingFile, token: string) {
    this.#dependencies = dependencies;
    this.file = file;
    this.#holder = { id: file.id, token };
    this.#bringsBytes = file.upload.via !== 'presigned';
  }

  /**
   * Takes hold of a promise that was made before; `undefined` where somebody else holds it, or it is over.
   *
   * @param options.now the moment by which another's lease must have run out, if not now
   */
  static async acquire(
    dependencies: ServiceDependencies,
    file: PendingFile,
    options: { now?: Micros; isActivity?: boolean; isDurable?: boolean } = {},
  ): Promise<UploadLease | undefined> {
    const { catalog, now, rules, newId } = dependencies;
    const { now: at = now(), ...how } = options;
    const lease = { now: at, until: now() + rules.leaseDuration, token: newId() };
    const { id, datasetId, filename } = file;
    const change = { datasetId, filenames: [filename], now: now(), isActivity: true, ...how };
    const changed = await catalog.change(change, (group) => acquireLease(group, id, lease));
    return changed && new UploadLease(dependencies, file, lease.token);
  }

  /** Does something with it, and gives signs of life until that is over. */
  async whileRenewing<T>(work: () => Promise<T>): Promise<T> {
    // A renewal that fails is made up for by the next; the lease outlives several.
    const renewalMs = this.#dependencies.rules.leaseDuration / 1000 / RENEWALS_PER_LEASE;
    const heartbeat = setInterval(() => this.renew().catch(() => {}), renewalMs);
    try {
      return await work();
    } finally {
      clearInterval(heartbeat);
    }
  }

  /** A sign of life. @returns false where the promise is held no more */
  renew(): Promise<boolean> {
    const { now, rules } = this.#dependencies;
    const lease = { now: now(), until: now() + rules.leaseDuration };
    return this.#change((group) => renewLease(group, this.#holder, lease), { isActivity: false });
  }

  /** Lets the promise go: a link's is open for another try, a direct upload's is over. */
  async release(): Promise<void> {
    await this.#change((group) => releaseLease(group, this.#holder), { mayLeaveBytes: this.#leavesBytes });
  }

  /**
   * Judges bytes that have arrived, and keeps or refuses them.
   *
   * @throws ServiceError `invalid_content`; `link_withdrawn` where the file or its dataset was removed meanwhile;
   * `unavailable` where it had better be sent again
   */
  async finalize(staged: StagedBlob, signal: AbortSignal): Promise<StoredFile> {
    const { inspect, now } = this.#dependencies;
    const { filename } = this.file;
    const { content, sizeBytes, sha256 } = staged;
    const inspection = await inspect({ ...content, sizeBytes, filename }, signal).catch(async (error) => {
      await staged.discard();
      throw error;
    });
    if (!inspection.ok) {
      await staged.discard();
      return this.reject(inspection.problem);
    }
    const { version: blobVersion } = await this.#commit(staged);
    const { contentType, facts, warnings } = inspection;
    const found = { sizeBytes, sha256, contentType, facts, warnings, blobVersion };
    return this.#keep({ state: 'stored', ...found, finalizedAt: now() });
  }

  /** Breaks the promise. @throws ServiceError `invalid_content` */
  async reject(problem: ErrorProblem): Promise<never> {
    const rejected = { state: 'rejected', problem, finalizedAt: this.#dependencies.now() } as const;
    await this.#change((group) => reject(group, this.#holder, rejected), { mayLeaveBytes: false });
    throw new ServiceError('invalid_content', problem.message);
  }

  /**
   * Puts the bytes under their key. What is there already was left by somebody who lost the promise in the middle of this
   * very step; it goes, so that the next attempt finds room.
   */
  async #commit(staged: StagedBlob): Promise<{ version: string | null }> {
    const key = blobKeyOf(this.file);
    this.#leavesBytes = this.#bringsBytes;
    return staged.commit().catch(async (error) => {
      const isTaken = error instanceof ServiceError && error.code === 'upload_finalized';
      if (!isTaken || !(await this.renew())) throw error;
      await this.#dependencies.blobs.delete([key]);
      throw new ServiceError('unavailable', `${this.file.filename} could not be kept. Send it again.`, {
        cause: error,
      });
    });
  }

  async #keep(upload: StoredFile['upload']): Promise<StoredFile> {
    const stored = { ...this.file, upload };
    let lost: unknown;
    const isStored = await this.#change((group) => finalize(group, this.#holder, upload)).catch((error) => {
      lost = error;
      return false;
    });
    if (isStored) return stored;
    // Where the answer was lost, the change perhaps was not: only the catalog can say whether the bytes are litter.
    const file = await this.#look();
    if (file?.upload.state === 'stored') return stored;
    // Whoever has taken the promise over will deal with the bytes, which by now may be theirs.
    const isHeld = file?.upload.state === 'pending' && file.upload.leaseToken === this.#holder.token;
    if (this.#bringsBytes && (file === undefined || isHeld))
      await this.#dependencies.blobs.delete([blobKeyOf(this.file)]);
    this.#leavesBytes = false;
    if (lost !== undefined) throw lost;
    if (file === undefined) {
      throw new ServiceError(
        'link_withdrawn',
        `${stored.filename} was removed, or its dataset was, while it was being uploaded. Nothing was kept.`,
      );
    }
    throw new ServiceError('unavailable', `The upload of ${stored.filename} stalled and was given up. Send it again.`);
  }

  /** The file as it is once every change under way is over: one that does nothing waits for its turn like any other. */
  async #look(): Promise<DatasetFile | undefined> {
    let found: DatasetFile | undefined;
    await this.#change((group) => {
      found = group.find(({ id }) => id === this.file.id);
      return undefined;
    });
    return found;
  }

  async #change(
    transition: (group: StemGroup) => StemGroup | undefined,
    options: { isActivity?: boolean; mayLeaveBytes?: boolean } = {},
  ): Promise<boolean> {
    const { datasetId, filename } = this.file;
    const change = { datasetId, filenames: [filename], now: this.#dependencies.now(), isActivity: true, ...options };
    return (await this.#dependencies.catalog.change(change, transition)) !== undefined;
  }
}
