export interface FairQueueOptions {
  /** The most units that a key may ever hold; by default all. */
  readonly maxUnitsOfKey?: number;
}

export interface WaitOptions {
  /** Ends the wait. It does not end work that has begun. */
  readonly signal?: AbortSignal | undefined;
  /** The units that the work needs at once; 1 by default. */
  readonly units?: number;
  /** Work of a higher priority goes first, whatever its key; 0 by default. */
  readonly priority?: number;
}

/** Releases so many units, by default all that are left. Units that were released already are not released again. */
export type Release = (units?: number) => void;

interface Waiter {
  readonly key: string;
  readonly units: number;
  readonly grant: () => void;
}

/** The waiters of one priority by key, each key in FIFO order; the key that is served next first. */
type Line = Map<string, Waiter[]>;

/**
 * A weighted semaphore that is fair between keys, such as accounts. A unit is a slot, a byte, or a process.
 *
 * Work of one key begins in FIFO order, and keys are served round robin. While others wait, a key that holds units gets no
 * more than half of them. The work that is next waits until its units are free, and work behind it waits too, so that a stream of
 * small work can't starve large work. Work that waits for a queue while it holds units of the same queue may deadlock.
 */
export class FairQueue {
  /** The number of units. */
  readonly capacity: number;
  readonly #maxUnitsOfKey: number;
  /** By priority, the highest first. */
  #lines: [priority: number, line: Line][] = [];
  readonly #heldBy = new Map<string, number>();
  #held = 0;

  constructor(capacity: number, { maxUnitsOfKey = capacity }: FairQueueOptions = {}) {
    this.capacity = capacity;
    this.#maxUnitsOfKey = maxUnitsOfKey;
  }

  /** Units that are held now. */
  get held(): number {
    return this.#held;
  }

  /** Whether callers of other keys than this one wait. */
  hasOthersThan(key: string): boolean {
    return this.#lines.some(([, line]) => line.size > (line.has(key) ? 1 : 0));
  }

  /** Runs work while it holds its units. @throws what `work` throws, and as `acquire` */
  async run<T>(key: string, work: () => Promise<T>, options: WaitOptions = {}): Promise<T> {
    const release = await this.acquire(key, options);
    try {
      return await work();
    } finally {
      release();
    }
  }

  /**
   * Waits for units, which the caller holds until it releases them.
   *
   * @throws RangeError if the key may not hold so many; the signal's reason if it fires during the wait
   */
  async acquire(key: string, { signal, units = 1, priority = 0 }: WaitOptions = {}): Promise<Release> {
    signal?.throwIfAborted();
    if (units > this.#maxUnitsOfKey) {
      throw new RangeError(`${units} units are more than the ${this.#maxUnitsOfKey} that one key may hold.`);
    }
    await new Promise<void>((resolve, reject) => {
      const onAbort = () => {
        this.#remove(waiter, priority);
        reject(signal?.reason);
        // Others may have waited behind it.
        this.#grantNext();
      };
      const grant = () => {
        signal?.removeEventListener('abort', onAbort);
        resolve();
      };
      const waiter: Waiter = { key, units, grant };
      const line = this.#lineOf(priority);
      line.set(key, [...(line.get(key) ?? []), waiter]);
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#grantNext();
    });
    let left = units;
    return (released = left) => {
      const count = Math.min(released, left);
      left -= count;
      if (count === 0) return;
      this.#add(key, -count);
      this.#grantNext();
    };
  }

  #lineOf(priority: number): Line {
    const found = this.#lines.find(([of]) => of === priority);
    if (found !== undefined) return found[1];
    const line: Line = new Map();
    this.#lines = [...this.#lines, [priority, line] as [number, Line]].sort(([a], [b]) => b - a);
    return line;
  }

  #remove(waiter: Waiter, priority: number): void {
    const line = this.#lineOf(priority);
    const others = (line.get(waiter.key) ?? []).filter((other) => other !== waiter);
    if (others.length === 0) line.delete(waiter.key);
    else line.set(waiter.key, others);
  }

  #grantNext(): void {
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      const { priority, waiter } = next;
      if (this.#held + waiter.units > this.capacity) return;
      this.#remove(waiter, priority);
      // The key goes to the end of the line.
      const line = this.#lineOf(priority);
      const others = line.get(waiter.key);
      if (others !== undefined && line.delete(waiter.key)) line.set(waiter.key, others);
      this.#add(waiter.key, waiter.units);
      waiter.grant();
    }
  }

  /** The first waiter of the highest priority whose key may hold more. */
  #next(): { priority: number; waiter: Waiter } | undefined {
    for (const [priority, line] of this.#lines) {
      const limit = line.size > 1 ? Math.ceil(this.capacity / 2) : this.capacity;
      for (const [key, [waiter]] of line) {
        if (waiter === undefined) continue;
        const held = this.#heldBy.get(key) ?? 0;
        const isWithin = held + waiter.units <= Math.min(limit, this.#maxUnitsOfKey);
        if (held === 0 || isWithin) return { priority, waiter };
      }
    }
    return undefined;
  }

  #add(key: string, units: number): void {
    const held = (this.#heldBy.get(key) ?? 0) + units;
    if (held === 0) this.#heldBy.delete(key);
    else this.#heldBy.set(key, held);
    this.#held += units;
  }
}
