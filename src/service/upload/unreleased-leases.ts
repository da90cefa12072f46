import type { UploadLease } from './upload-lease.js';

/** Leases of failed uploads that are not released yet: on a full disk the catalog can't. At the latest, they expire. */
export class UnreleasedLeases {
  readonly #leases = new Set<UploadLease>();

  add(lease: UploadLease): void {
    this.#leases.add(lease);
  }

  /**
   * Releases them, the latest first, until a release fails: while the database is away, each would wait for a timeout. Never
   * throws, so that a client receives the error of its own upload.
   */
  async release(): Promise<void> {
    for (const lease of [...this.#leases].reverse()) {
      // Another call may be releasing it.
      if (!this.#leases.delete(lease)) continue;
      try {
        await lease.release();
      } catch {
        this.#leases.add(lease);
        return;
      }
    }
  }
}
