import type { MessagePort } from 'node:worker_threads';
import type { ByteSource } from './bytes.js';

/** How much is asked for at once, in bytes; and how many such blocks are kept, since a walk reads at several places in turn. */
export const BLOCK_BYTES = 2 << 20;
const BLOCKS_KEPT = 8;

/** What the other thread says through the first word of the shared memory; the second is the length of its answer. */
export const ASKED = 0;
export const ANSWERED = 1;
export const FAILED = 2;
export const HEADER_BYTES = 8;

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
export function remoteSource({ sizeBytes, port, shared }: RemoteFile): ByteSource {
  const header = new Int32Array(shared, 0, 2);
  const answer = Buffer.from(shared, HEADER_BYTES);
  /** The one used last stands last. */
  const blocks = new Map<number, Buffer>();

  const fetched = (index: number): Buffer => {
    const start = index * BLOCK_BYTES;
    Atomics.store(header, 0, ASKED);
    port.postMessage([start, Math.min(start + BLOCK_BYTES, sizeBytes)]);
    Atomics.wait(header, 0, ASKED);
    if (Atomics.load(header, 0) === FAILED) {
      throw Object.assign(new Error(`byte ${start} and those after it can't be read`), { code: 'EIO' });
    }
    return Buffer.from(answer.subarray(0, header[1]));
  };

  const blockAt = (index: number): Buffer => {
    const block = blocks.get(index) ?? fetched(index);
    blocks.delete(index);
    blocks.set(index, block);
    const oldest = blocks.keys().next();
    if (blocks.size > BLOCKS_KEPT && !oldest.done) blocks.delete(oldest.value);
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
