import type { Dataset, Status } from '../../dataset/dataset.js';
import type { ChangeFeed } from '../../storage/database/change-feed.js';

/** Listens to changes of the datasets that a dataset links to, which change its status, too. */
export class LinkedDatasets {
  readonly #changes: ChangeFeed;
  readonly #onChange: () => void;
  /** What ends each subscription, by the id of the linked dataset. */
  readonly #subscriptions = new Map<string, () => void>();

  constructor(changes: ChangeFeed, onChange: () => void) {
    this.#changes = changes;
    this.#onChange = onChange;
  }

  /** Follows the links that a dataset has now. A linked dataset that is new may have changed before, so that counts as a change. */
  follow({ links }: Dataset): void {
    const ids = new Set(links.map(({ dataset }) => dataset.id));
    for (const [id, unsubscribe] of this.#subscriptions) {
      if (ids.has(id)) continue;
      unsubscribe();
      this.#subscriptions.delete(id);
    }
    const added = [...ids].filter((id) => !this.#subscriptions.has(id));
    for (const id of added) this.#subscriptions.set(id, this.#changes.onChange(id, this.#onChange));
    if (added.length > 0) this.#onChange();
  }

  end(): void {
    for (const unsubscribe of this.#subscriptions.values()) unsubscribe();
    this.#subscriptions.clear();
  }
}

/** Differs if a dataset has changed, or one that it links to. The renewal of a lease changes only `pendingUntil`, which is left out. */
export function fingerprintOf({ name, role, counts, links }: Dataset, status: Status): string {
  const linked = links.map(({ slot, dataset }) => [slot, dataset.id, fingerprintOfOne(dataset)]);
  return JSON.stringify([status, fingerprintOfOne({ name, role, counts }), linked]);
}

function fingerprintOfOne({ name, role, counts }: Pick<Dataset, 'name' | 'role' | 'counts'>) {
  return { name, role, ...counts, pendingUntil: 0 };
}
