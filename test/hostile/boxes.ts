import { joined, u32, u64 } from './hostile-file.js';

/** A box of the ISO base media file format. */
export function box(type: string, ...payload: Buffer[]): Buffer {
  const bytes = Buffer.concat(payload);
  return Buffer.concat([u32(bytes.length + 8), Buffer.from(type, 'latin1'), bytes]);
}

/** A box with version and flags. */
export const fullBox = (type: string, version: number, flags: number, ...payload: Buffer[]): Buffer =>
  box(type, u32((version << 24) | flags), ...payload);

/** A box whose payload of `bytes` bytes need not fit into memory. */
export function* largeBox(type: string, bytes: number, ...payload: (Buffer | Iterable<Buffer>)[]): Generator<Buffer> {
  yield Buffer.concat([u32(1), Buffer.from(type, 'latin1'), u64(bytes + 16)]);
  yield* joined(...payload);
}

/** Boxes within boxes, `depth` deep, each as long as what is left. */
export function nested(type: string, depth: number): Buffer {
  const bytes = Buffer.alloc(depth * 8);
  for (let level = 0; level < depth; level++) {
    bytes.writeUInt32BE((depth - level) * 8, level * 8);
    bytes.write(type, level * 8 + 4, 'latin1');
  }
  return bytes;
}
