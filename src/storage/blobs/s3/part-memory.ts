import { FairQueue } from '../../fair-queue.js';
import { type ByteOptions, waitForBytes } from '../wait-for-bytes.js';

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
  readonly #maxBytesOfAccount: number;
  readonly #free: FairQueue;
  #unused: Buffer[] = [];

  /** @param maxBytesOfAccount the most that an account may hold; by default all */
  constructor(bytes: number, maxBytesOfAccount = bytes) {
    this.#maxBytesOfAccount = maxBytesOfAccount;
    this.#free = new FairQueue(bytes, { maxUnitsOfKey: maxBytesOfAccount });
  }

  /** Waits for a buffer. One that is larger than an account may hold counts as so much. @throws as `waitForBytes` */
  async acquire(bytes: number, options: ByteOptions): Promise<PartBuffer> {
    const counted = Math.min(bytes, this.#maxBytesOfAccount);
    const releaseBytes = await waitForBytes(this.#free, counted, { ...options, of: 'memory' });
    // Only buffers of one size are kept, since other part sizes are rare.
    if (this.#unused[0]?.length !== bytes) this.#unused = [];
    const buffer = this.#unused.pop() ?? Buffer.allocUnsafeSlow(bytes);
    const release = () => {
      releaseBytes();
      this.#unused = this.#free.held === 0 ? [] : [...this.#unused, buffer];
    };
    return { bytes: buffer, release };
  }
}
