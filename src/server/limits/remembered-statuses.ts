/** The memory that the texts may take, of all datasets. */
const MAX_BYTES = 32 * 1024 * 1024;

/** About what an entry takes beside its text. */
const ENTRY_BYTES = 500;

interface Remembered {
  readonly state: string;
  readonly json: Buffer;
}

/**
 * Remembers the texts of statuses. Clients poll a status many times between two changes, and that of ten thousand files takes
 * a tenth of a second to compute.
 */
export class RememberedStatuses {
  /** By the id of the dataset, the most recently used last. */
  readonly #byId = new Map<string, Remembered>();
  #bytes = 0;

  /** Whether there is a text, which may be of an earlier state. */
  has(id: string): boolean {
    return this.#byId.has(id);
  }

  /** @returns `undefined` if there is no text of this state */
  find(id: string, state: string | undefined): Buffer | undefined {
    const remembered = this.#byId.get(id);
    if (remembered === undefined || remembered.state !== state) return undefined;
    this.#byId.delete(id);
    this.#byId.set(id, remembered);
    return remembered.json;
  }

  /** Takes the place of what was remembered of the dataset. */
  remember(id: string, state: string | undefined, json: Buffer): void {
    this.#forget(id);
    if (state === undefined || json.byteLength > MAX_BYTES) return;
    this.#byId.set(id, { state, json });
    this.#bytes += json.byteLength + ENTRY_BYTES;
    for (const oldest of this.#byId.keys()) {
      if (this.#bytes <= MAX_BYTES) break;
      this.#forget(oldest);
    }
  }

  #forget(id: string): void {
    const forgotten = this.#byId.get(id);
    if (forgotten === undefined) return;
    this.#bytes -= forgotten.json.byteLength + ENTRY_BYTES;
    this.#byId.delete(id);
  }
}
