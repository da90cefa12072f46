import { crc32 } from 'node:zlib';
import type { FileBytes } from '../../byte-source.js';
import { formatCount, StructureError } from '../../inspection-error.js';
import { elementAt, type SizedElement } from './ebml.js';

const CRC_32 = 0xbf;
const CRC_BYTES = 4;
const WINDOW_BYTES = 1 << 16;
/** A quarter of a second of one core. Clusters after these bytes of a file are not compared. */
const MAX_BYTES = 256 << 20;

/**
 * Compares clusters with the checksum that FFmpeg, unlike other writers, puts at their beginning (RFC 8794, section 11.3.1).
 * It proves each byte of their frames.
 */
export class ClusterChecksums {
  private readonly file: FileBytes;
  private bytesLeft = MAX_BYTES;

  constructor(file: FileBytes) {
    this.file = file.cursor(WINDOW_BYTES);
  }

  /** @throws StructureError if the cluster has a checksum of other bytes */
  check(cluster: SizedElement): void {
    const { payload, end } = cluster;
    if (payload === end || end - payload > this.bytesLeft) return;
    const first = elementAt(this.file, payload, end);
    if (first.id !== CRC_32 || first.end === undefined || first.end - first.payload !== CRC_BYTES) return;
    const declared = this.file.at(first.payload, CRC_BYTES).readUInt32LE(0);
    this.bytesLeft -= end - payload;
    let crc = 0;
    for (let at = first.end; at < end; ) {
      const bytes = this.file.upTo(at, end - at);
      crc = crc32(bytes, crc);
      at += bytes.length;
    }
    if (crc === declared) return;
    const range = `the ${formatCount(end - payload)} bytes from byte ${formatCount(payload)}`;
    throw new StructureError(`is damaged: ${range} differ from their checksum`);
  }
}
