import {
  acceptReceived,
  acquireCheck,
  rejectReceived,
  releaseCheck,
  renewCheck,
} from '../../dataset/check-transitions.js';
import type { ReceivedFile, Role } from '../../dataset/dataset.js';
import type { Inspection } from '../../dataset/inspect/inspection.js';
import type { StemGroup } from '../../dataset/upload-transitions.js';
import type { ServiceDependencies } from '../dependencies.js';
import { whileRenewing } from '../while-renewing.js';

/** The exclusive right to check a received file. Another instance can take over an expired lease. */
export class CheckLease {
  readonly file: ReceivedFile;
  /** The owner of the dataset. */
  readonly accountId: string;
  /** Of the dataset, when the lease was acquired. */
  readonly role: Role;
  readonly #dependencies: ServiceDependencies;
  readonly #token: string;

  private constructor(
    dependencies: ServiceDependencies,
    file: ReceivedFile,
    { token, accountId, role }: { token: string; accountId: string; role: Role },
  ) {
    this.#dependencies = dependencies;
    this.file = file;
    this.accountId = accountId;
    this.role = role;
    this.#token = token;
  }

  /**
   * Acquires the lease; `undefined` if another holder has it or the file is no longer received.
   *
   * @param options.expiredBy leases that expire by then may be taken over
   */
  static async acquire(
    dependencies: ServiceDependencies,
    file: ReceivedFile,
    { expiredBy }: { expiredBy: number },
  ): Promise<CheckLease | undefined> {
    const { catalog, now, rules, newId } = dependencies;
    const lease = { now: expiredBy, until: now() + rules.leaseDuration, token: newId() };
    const change = { ...changeOf(file), now: now(), isActivity: false, isDurable: false };
    const dataset = await catalog.change(change, (group) => acquireCheck(group, file.id, lease));
    if (dataset === undefined) return undefined;
    const { accountId, role } = dataset;
    return new CheckLease(dependencies, file, { token: lease.token, accountId, role });
  }

  /** Runs `work` and renews the lease until it ends. The signal fires if the lease is lost: the file was removed or replaced. */
  whileRenewing<T>(signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { leaseDuration } = this.#dependencies.rules;
    return whileRenewing({ leaseDuration, renew: () => this.#renew(), signal }, work);
  }

  #renew(): Promise<boolean> {
    const { now, rules } = this.#dependencies;
    const until = now() + rules.leaseDuration;
    return this.#change((group) => renewCheck(group, this.#holder, until), { isDurable: false });
  }

  /** Ends the check without a result. */
  async release(): Promise<void> {
    await this.#change((group) => releaseCheck(group, this.#holder));
  }

  /** Stores or rejects the file. @returns false if the file was replaced, removed or checked by another instance */
  finish(inspection: Inspection): Promise<boolean> {
    const { upload } = this.file;
    const finalizedAt = this.#dependencies.now();
    const { sizeBytes, sha256, blobVersion, linkUntil } = upload;
    return this.#change(
      (group) => {
        if (!inspection.ok) {
          const { problem } = inspection;
          return rejectReceived(group, this.#holder, { state: 'rejected', problem, finalizedAt });
        }
        const { contentType, facts, warnings } = inspection;
        const link = linkUntil !== undefined && { linkUntil };
        const stored = { sizeBytes, sha256, blobVersion, ...link, contentType, facts, warnings, finalizedAt };
        return acceptReceived(group, this.#holder, { state: 'stored', ...stored });
      },
      { isActivity: true, inspectedAs: this.role },
    );
  }

  get #holder() {
    return { id: this.file.id, token: this.#token };
  }

  async #change(
    transition: (group: StemGroup) => StemGroup | undefined,
    options: { isActivity?: boolean; isDurable?: boolean; inspectedAs?: Role } = {},
  ): Promise<boolean> {
    const { catalog, now, wakeRechecks } = this.#dependencies;
    const change = { ...changeOf(this.file), now: now(), isActivity: false, ...options };
    const changed = await catalog.change(change, transition);
    if (changed?.startsRecheck) wakeRechecks?.();
    return changed !== undefined;
  }
}

function changeOf({ datasetId, filename }: ReceivedFile) {
  return { datasetId, filenames: [filename] };
}
