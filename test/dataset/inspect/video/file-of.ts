import { FileBytes } from '../../../../src/dataset/inspect/byte-source.js';

/** A file of these bytes, in memory. */
export function fileOf(bytes: Buffer): FileBytes {
  return FileBytes.over({
    size: bytes.length,
    read: (target, targetOffset, offset) => bytes.copy(target, targetOffset, offset),
    close: () => {},
  });
}
