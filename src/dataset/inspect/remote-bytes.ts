import type { MessagePort } from 'node:worker_threads';
import type { ByteSource } from './byte-source.js';

/** How much is asked for at once, in bytes; and how many such blocks are kept, since a walk reads at several places in turn. */
export const BLOCK_BYTES = 1 << 20;
const BLOCKS_KEPT = 12;

/** What the other thread says through the first word of the shared memory; the second is the length of its answer. */
export const ASKED = 0;
export const ANSWERED = 1;
export const FAILED = 2;
export const MESSAGE_HEADER_BYTES = 8;

/** The way to a file that lies elsewhere and that another thread can read from. */
export interface RemoteFile {
  readonly sizeBytes: number;
  /** Takes what is wanted, `[start, end]` without the byte at `end`. */
  readonly port: MessagePort;
  /** The header, and then room for one block. */
  readonly shared: SharedArrayBuffer;
}

/**
 * Reads from another thread, and sleeps until that has answered: a walk over a file is synchronous, and a worker has nothing
 * else to do. @throws Error with the code `EIO` where it can't be read
 */
export function remoteByteSource({ sizeBytes, port, shared }: RemoteFile): ByteSource {
  const header = new Int32Array(shared, 0, 2);
  const answer = Buffer.from(shared, MESSAGE_HEADER_BYTES);
  /** The one used last stands last. */
  const blocks = new Map<number, Buffer>();

  const fetch = (index: number, into: Buffer): Buffer => {
    const start = index * BLOCK_BYTES;
    Atomics.store(header, 0, ASKED);
    port.postMessage([start, Math.min(start + BLOCK_BYTES, sizeBytes)]);
    Atomics.wait(header, 0, ASKED);
    if (Atomics.load(header, 0) === FAILED) {
      throw Object.assign(new Error(`byte ${start} and those after it can't be read`), { code: 'EIO' });
    }
    const length = answer.copy(into, 0, 0, header[1]);
    return into.subarray(0, length);
  };

  /** Memory for one more block: that of the block which was used longest ago, where there are enough. */
  const memory = (): Buffer => {
    const oldest = blocks.entries().next();
    if (blocks.size < BLOCKS_KEPT || oldest.done) return Buffer.allocUnsafeSlow(BLOCK_BYTES);
    const [index, block] = oldest.value;
    blocks.delete(index);
    return Buffer.from(block.buffer, 0, BLOCK_BYTES);
  };

  const blockAt = (index: number): Buffer => {
    const block = blocks.get(index) ?? fetch(index, memory());
    blocks.delete(index);
    blocks.set(index, block);
    return block;
  };

  return {
    size: sizeBytes,
    read: (target, at, offset) => {
      if (offset >= sizeBytes) return 0;
      const index = Math.floor(offset / BLOCK_BYTES);
      return blockAt(index).copy(target, at, offset - index * BLOCK_BYTES);
    },
    close: () => port.close(),
  };
}
