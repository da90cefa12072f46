import type { ByteSource } from './byte-source.js';

/** The bytes of one request, and the number of such blocks in memory: a parser reads at several offsets in turn. */
const BLOCK_BYTES = 1 << 20;
const BLOCKS_KEPT = 12;

/** A file that another process reads, such as one in an object store. */
export interface RemoteFile {
  readonly sizeBytes: number;
  /** Waits for the bytes from `start` to before `end`, and copies them into `target`, which has just that size. */
  readonly readInto: (target: Buffer, start: number, end: number) => void;
}

/** Keeps the blocks read last, since parsers read a few bytes at a time, at several offsets in turn. */
export function remoteByteSource({ sizeBytes, readInto }: RemoteFile): ByteSource {
  /** By block number, least recently used first. */
  const blocks = new Map<number, Buffer>();

  const fetch = (index: number, memory: Buffer): Buffer => {
    const start = index * BLOCK_BYTES;
    const end = Math.min(start + BLOCK_BYTES, sizeBytes);
    const block = memory.subarray(0, end - start);
    readInto(block, start, end);
    return block;
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
    close: () => {},
  };
}
