import { StructureError } from '../../inspection-error.js';
import type { EntropyBits } from './entropy-bits.js';

/** Counts the MCUs of a scan, and steps over the restart markers between them. */
export class Restarts {
  private readonly bits: EntropyBits;
  private readonly interval: number;
  private left: number;
  private next = 0;

  constructor(bits: EntropyBits, interval: number) {
    this.bits = bits;
    this.interval = interval;
    this.left = interval === 0 ? Number.POSITIVE_INFINITY : interval;
  }

  /** Whether a restart marker precedes the next MCU. */
  get isDue(): boolean {
    return this.left === 0;
  }

  /** Steps over the marker if one is due. @returns how many of `wanted` MCUs precede the next one */
  take(wanted: number): number {
    if (this.isDue) this.stepOver();
    const taken = Math.min(wanted, this.left);
    this.left -= taken;
    return taken;
  }

  private stepOver(): void {
    const marker = this.bits.finishSegment();
    if (marker !== 0xd0 + this.next) {
      throw new StructureError('is damaged: a restart marker of its image data is missing or out of order');
    }
    this.bits.nextSegment();
    this.next = (this.next + 1) & 7;
    this.left = this.interval;
  }
}
