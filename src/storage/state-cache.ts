/** An LRU cache with one value for each dataset, valid for one state of the dataset. */
export class StateCache<T> {
  readonly #maxSize: number;
  /** By the id of the dataset, the most recently used last. */
  readonly #entries = new Map<string, { readonly state: string; readonly value: T; readonly size: number }>();
  #size = 0;

  /** @param maxSize limits the sum of the sizes that `set` is given */
  constructor(maxSize: number) {
    this.#maxSize = maxSize;
  }

  /** Whether there is a value, which may be of an earlier state. */
  has(id: string): boolean {
    return this.#entries.has(id);
  }

  get(id: string, state: string | undefined): T | undefined {
    const entry = this.#entries.get(id);
    if (entry === undefined || entry.state !== state) return undefined;
    this.#entries.delete(id);
    this.#entries.set(id, entry);
    return entry.value;
  }

  /** Replaces the value; removes it if `state` is `undefined` or the value alone exceeds the limit. */
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
