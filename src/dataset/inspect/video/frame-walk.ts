import type { FileBytes } from '../byte-source.js';
import { StructureError } from '../inspection-error.js';
import type { FrameCheck } from './codec/frame-check.js';

/**
 * Checks the frames of the video track. Tables that name the same bytes for many frames can make it read no more than the
 * file has: once the frames have as many bytes as the file, further ones are not checked.
 */
export class FrameWalk {
  private readonly checks: readonly (FrameCheck | undefined)[];
  private bytesLeft: number;

  /** One check for each description of samples in the header of the track. */
  constructor(file: FileBytes, checks: readonly (FrameCheck | undefined)[]) {
    this.checks = checks;
    this.bytesLeft = file.size;
  }

  /** The check for a description, by its number from 1; `undefined` if there is nothing to check. */
  checkFor(description: number): FrameCheck | undefined {
    return this.checks[description - 1];
  }

  /** @throws StructureError if the track has no such description: FFmpeg reads none of its frames */
  requireDescription(description: number): void {
    if (description >= 1 && description <= this.checks.length) return;
    throw new StructureError('is damaged: its table of chunks refers to a codec that its header does not have');
  }

  /** Checks consecutive frames from byte `start`. Frames of no bytes repeat the one before. */
  checkRun(check: FrameCheck, run: { start: number; frames: number; bytesOf: (index: number) => number }): void {
    let at = run.start;
    for (let index = 0; index < run.frames && this.bytesLeft > 0; index++) {
      const bytes = run.bytesOf(index);
      this.bytesLeft -= Math.max(1, bytes);
      if (bytes > 0) check(at, at + bytes);
      at += bytes;
    }
  }
}
