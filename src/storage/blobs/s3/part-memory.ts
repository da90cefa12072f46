import { ByteBudget } from '../byte-budget.js';

/** Memory for a part, until it is given back. */
export interface PartBuffer {
  readonly bytes: Buffer;
  readonly release: () => void;
}

/**
 * A bounded amount of memory that uploads in parts share. Buffers are used again while uploads are under way: the collector
 * would come late for so few and so large ones.
 */
export class PartMemory {
  readonly #room: ByteBudget;
  #unused: Buffer[] = [];

  constructor(bytes: number) {
    this.#room = new ByteBudget(bytes, 'for parts of uploads');
  }

  /** Waits for its turn. @throws the signal's reason; ServiceError `unavailable` where it takes too long */
  async acquire(bytes: number, signal: AbortSignal): Promise<PartBuffer> {
    const share = await this.#room.acquire(Math.min(bytes, this.#room.bytes), signal);
    // Uploads with other parts than these are rare.
    if (this.#unused[0]?.length !== bytes) this.#unused = [];
    const buffer = this.#unused.pop() ?? Buffer.allocUnsafeSlow(bytes);
    const giveBack = () => {
      share.shrinkTo(0);
      this.#unused = this.#room.used === 0 ? [] : [...this.#unused, buffer];
    };
    return { bytes: buffer, release: giveBack };
  }
}
