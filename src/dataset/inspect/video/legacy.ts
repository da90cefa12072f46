import type { FileBytes } from '../byte-source.js';
import { truncated } from '../inspection-error.js';
import type { VideoFormat } from '../detect-content.js';

/**
 * The little that is checked of the containers nobody writes any more: that a RIFF file (AVI) is as long as it says, and
 * that an ASF or FLV header fits.
 *
 * @throws Damage
 */
export function checkLegacy(file: FileBytes, format: VideoFormat): void {
  const end = promisedEnd(file, format);
  if (end > file.size) throw truncated({ needed: end, size: file.size, what: 'it' });
}

function promisedEnd(file: FileBytes, format: VideoFormat): number {
  if (format === 'avi') return 8 + file.at(4, 4, 'its header').readUInt32LE(0);
  if (format === 'wmv') return Number(file.at(16, 8, 'its header').readBigUInt64LE(0));
  return file.at(5, 4, 'its header').readUInt32BE(0) + 4;
}
