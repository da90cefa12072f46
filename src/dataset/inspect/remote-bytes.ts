import type { MessagePort } from 'node:worker_threads';
import type { ByteSource } from './byte-source.js';

/** The bytes of one request, and the number of such blocks in memory: a parser reads at several offsets in turn. */
export const BLOCK_BYTES = 1 << 20;
const BLOCKS_KEPT = 12;

/** The states of a request, in the first word of the shared memory. The second word is the length of the answer. */
const REQUESTED = 0;
export const ANSWERED = 1;
export const FAILED = 2;
export const MESSAGE_HEADER_BYTES = 8;

/** A file that another thread reads, such as one in an object store. */
export interface RemoteFile {
  readonly sizeBytes: number;
  /** Receives each request as `[start, end]`, `end` not included. */
  readonly port: MessagePort;
  /** The message header, then space for one block. */
  readonly shared: SharedArrayBuffer;
}

/**
 * Requests bytes from another thread and blocks this thread until the answer arrives: parsers read synchronously, and each
 * inspection runs in its own worker thread.
 *
 * @throws Error with the code `EIO` if the other thread can't read
 */
export function remoteByteSource({ sizeBytes, port, shared }: RemoteFile): ByteSource {
  const header = new Int32Array(shared, 0, 2);
  const answer = Buffer.from(shared, MESSAGE_HEADER_BYTES);
  /** By block number, least recently used first. */
  const blocks = new Map<number, Buffer>();

  const fetch = (index: number, target: Buffer): Buffer => {
    const start = index * BLOCK_BYTES;
    Atomics.store(header, 0, REQUESTED);
    port.postMessage([start, Math.min(start + BLOCK_BYTES, sizeBytes)]);
    Atomics.wait(header, 0, REQUESTED);
    if (Atomics.load(header, 0) === FAILED) {
      throw Object.assign(new Error(`byte ${start} and those after it can't be read`), { code: 'EIO' });
    }
    const length = answer.copy(target, 0, 0, header[1]);
    return target.subarray(0, length);
  };

  /** Memory for one more block; that of the least recently used block once `BLOCKS_KEPT` are kept. */
  const allocate = (): Buffer => {
    const oldest = blocks.entries().next();
    if (blocks.size < BLOCKS_KEPT || oldest.done) return Buffer.allocUnsafeSlow(BLOCK_BYTES);
    const [index, block] = oldest.value;
    blocks.delete(index);
    return Buffer.from(block.buffer, 0, BLOCK_BYTES);
  };

  const blockAt = (index: number): Buffer => {
    const block = blocks.get(index) ?? fetch(index, allocate());
    blocks.delete(index);
    blocks.set(index, block);
    return block;
  };

  return {
    size: sizeBytes,
    read: (target, targetOffset, offset) => {
      if (offset >= sizeBytes) return 0;
      const index = Math.floor(offset / BLOCK_BYTES);
      return blockAt(index).copy(target, targetOffset, offset - index * BLOCK_BYTES);
    },
    close: () => port.close(),
  };
}
