import type { FileBytes } from '../../byte-source.js';
import { StructureError } from '../../inspection-error.js';
import { EntropyBits } from './entropy-bits.js';
import { FirstBand } from './first-band.js';
import { type JpegFrame, type JpegScan, layoutOf } from './frame.js';
import { RefinedBand } from './refined-band.js';
import { Restarts } from './restarts.js';
import { STRIP_BLOCKS, Strip } from './strip.js';

/** A scan of the AC coefficients of one component. */
class BandScan {
  private readonly band: FirstBand | RefinedBand;
  private readonly bits: EntropyBits;
  private readonly restarts: Restarts;

  constructor(file: FileBytes, scan: JpegScan) {
    this.band = scan.high > 0 ? new RefinedBand(scan) : new FirstBand(scan);
    this.bits = new EntropyBits(file, scan.offset);
    this.restarts = new Restarts(this.bits, scan.restartInterval);
  }

  walk(strip: Strip, blocks: number): void {
    const { band, bits } = this;
    for (let block = 0; block < blocks; ) {
      if (this.restarts.isDue && band.endOfBandRun > 0) throw runTooLong();
      const end = block + this.restarts.take(blocks - block);
      while (block < end) {
        if (band.endOfBandRun > 0) block = band.passRun(bits, strip, block, end);
        else {
          bits.bufferBlock();
          block = band.walkBuffered(bits, strip, block, end);
        }
      }
    }
  }

  finish(): void {
    if (this.band.endOfBandRun > 0) throw runTooLong();
    this.bits.finishScan();
  }
}

function runTooLong(): StructureError {
  return new StructureError('is damaged: a run of its image data is longer than its scan');
}

/**
 * Walks all scans of the AC coefficients of one component of a progressive frame. A refinement scan needs to know which
 * coefficients earlier scans set. Walking all scans in step, strip by strip, keeps this for one strip only.
 */
export function walkBands(file: FileBytes, frame: JpegFrame, scans: readonly JpegScan[]): void {
  const [any] = scans;
  if (any === undefined) return;
  const { mcus } = layoutOf(frame, any);
  // Each scan reads at a place of its own in the file, so each has its own window.
  const bands = scans.map((scan) => new BandScan(file.cursor(1 << 14), scan));
  const strip = new Strip();
  for (let block = 0; block < mcus; block += STRIP_BLOCKS) {
    strip.clear();
    for (const band of bands) band.walk(strip, Math.min(STRIP_BLOCKS, mcus - block));
  }
  for (const band of bands) band.finish();
}
