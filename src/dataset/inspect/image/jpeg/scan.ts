import type { FileBytes } from '../../byte-source.js';
import { StructureError } from '../../inspection-error.js';
import { walkBands } from './bands.js';
import { EntropyBits } from './entropy-bits.js';
import { type JpegComponent, type JpegFrame, type JpegScan, layoutOf } from './frame.js';
import { Restarts } from './restarts.js';
import { FirstDcBlocks, SequentialBlocks } from './sequential.js';

/**
 * Walks the Huffman codes of all scans, and so proves that each has exactly the coefficients that its header announces. A
 * decoder shows damaged ones as grey or shifted blocks, mostly without an error.
 *
 * @throws StructureError
 */
export function walkScans(file: FileBytes, frame: JpegFrame, scans: readonly JpegScan[]): void {
  for (const component of frame.components) {
    if (!scans.some((scan) => scan.components.some((each) => each.component === component))) {
      throw new StructureError('is damaged: one of its colour components is missing');
    }
  }
  if (frame.isProgressive) checkProgression(scans);
  for (const scan of scans) if (scan.first === 0) walkScan(file, frame, scan);
  for (const component of frame.components) {
    walkBands(
      file,
      frame,
      scans.filter((scan) => scan.first > 0 && scan.components[0]?.component === component),
    );
  }
}

/** Checks that DC precedes AC, and that each scan begins at the bit where the last scan of its coefficients ended (G.1.1.1.1). */
function checkProgression(scans: readonly JpegScan[]): void {
  const sentBits = new Map<JpegComponent, (number | undefined)[]>();
  for (const { components, first, last, high, low } of scans) {
    for (const { component } of components) {
      const sent = sentBits.get(component) ?? [];
      sentBits.set(component, sent);
      const isInOrder = first === 0 || sent[0] !== undefined;
      for (let k = first; k <= last; k++) {
        if (!isInOrder || high !== (sent[k] ?? 0)) throw new StructureError('is damaged: its scans are not in order');
        sent[k] = low;
      }
    }
  }
}

/** Walks a scan in which no block depends on an earlier scan: a sequential one, or of DC coefficients. */
function walkScan(file: FileBytes, frame: JpegFrame, scan: JpegScan): void {
  const bits = new EntropyBits(file, scan.offset);
  const restarts = new Restarts(bits, scan.restartInterval);
  const { mcus, blocks } = layoutOf(frame, scan);
  const walker = frame.isProgressive
    ? scan.high === 0
      ? new FirstDcBlocks(blocks)
      : { walk: (_: EntropyBits, mcus: number) => bits.skip(mcus * blocks.length) }
    : new SequentialBlocks(blocks);
  for (let mcu = 0; mcu < mcus; ) {
    const taken = restarts.take(mcus - mcu);
    walker.walk(bits, taken);
    mcu += taken;
  }
  bits.finishScan();
}
