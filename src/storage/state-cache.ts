interface Entry<T> {
  readonly state: string;
  readonly value: T;
  readonly size: number;
}

/** Caches one value of each dataset, for one state of the dataset. Beyond the limit, it drops those that were used longest ago. */
export class StateCache<T> {
  readonly #maxSize: number;
  /** By the id of the dataset, the most recently used last. */
  readonly #entries = new Map<string, Entry<T>>();
  #size = 0;

  /** @param maxSize of all values together, in the unit of the sizes that `set` is given */
  constructor(maxSize: number) {
    this.#maxSize = maxSize;
  }

  /** Whether there is a value, which may be of an earlier state. */
  has(id: string): boolean {
    return this.#entries.has(id);
  }

  /** @returns `undefined` if there is no value of this state */
  get(id: string, state: string | undefined): T | undefined {
    const entry = this.#entries.get(id);
    if (entry === undefined || entry.state !== state) return undefined;
    this.#entries.delete(id);
    this.#entries.set(id, entry);
    return entry.value;
  }

  /** Replaces the value of the dataset; removes it if `state` is `undefined` or the value exceeds the limit by itself. */
  set(id: string, state: string | undefined, { value, size }: { value: T; size: number }): void {
    this.#delete(id);
    if (state === undefined || size > this.#maxSize) return;
    this.#entries.set(id, { state, value, size });
    this.#size += size;
    for (const oldest of this.#entries.keys()) {
      if (this.#size <= this.#maxSize) break;
      this.#delete(oldest);
    }
  }

  #delete(id: string): void {
    this.#size -= this.#entries.get(id)?.size ?? 0;
    this.#entries.delete(id);
  }
}
