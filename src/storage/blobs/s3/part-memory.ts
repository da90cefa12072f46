import { ByteBudget, type PermitOptions } from '../byte-budget.js';

/** A buffer for one part, until it is released. */
export interface PartBuffer {
  readonly bytes: Buffer;
  readonly release: () => void;
}

/**
 * Bounds the memory that concurrent multipart uploads share. It reuses buffers while uploads are in flight, because the
 * garbage collector runs too late for a few large ones.
 */
export class PartMemory {
  readonly #budget: ByteBudget;
  #unused: Buffer[] = [];

  constructor(bytes: number) {
    this.#budget = new ByteBudget(bytes, 'memory');
  }

  /** Waits for a buffer. @throws as `ByteBudget.acquire` */
  async acquire(bytes: number, options: PermitOptions): Promise<PartBuffer> {
    const permit = await this.#budget.acquire(Math.min(bytes, this.#budget.maxBytesOf(options.accountId)), options);
    // Only buffers of one size are kept, since other part sizes are rare.
    if (this.#unused[0]?.length !== bytes) this.#unused = [];
    const buffer = this.#unused.pop() ?? Buffer.allocUnsafeSlow(bytes);
    const release = () => {
      permit.shrinkTo(0);
      this.#unused = this.#budget.used === 0 ? [] : [...this.#unused, buffer];
    };
    return { bytes: buffer, release };
  }
}
