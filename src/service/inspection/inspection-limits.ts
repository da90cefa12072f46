import type { FileKind } from '../../dataset/media.js';
import type { KernelLimits, LimitName, ProcessLimits } from './limited-process.js';

const MEGABYTE = 1_000_000;

/**
 * Resident memory of one inspection process: 75 MB of code and heap, and what a decoder needs for the largest images that are
 * decoded. Two of these processes and the server stay under 500 MB.
 */
const MAX_PROCESS_BYTES = 160 * MEGABYTE;

/**
 * A budget of processor time, about ten times what the slowest honest files take on the cores of 2020: a WebP of noise, 0.05 s
 * for each megabyte, and flat images of 179 megapixels, 2 s in all.
 */
const BASE_SECONDS = 20;
const SECONDS_PER_MEGABYTE = { image: 0.5, video: 0.2, caption: 0.2 } as const;
const MAX_BUDGET_SECONDS = 600;

const MAX_SLEEP_SECONDS = 60;

/** A client waits for a thumbnail, which takes an honest image less time than its inspection. */
const THUMBNAIL_SECONDS = 4;

/** A process is replaced after this much processor time, so that its last job is never ended by the kernel's limit. */
export const RECYCLE_CPU_SECONDS = 60;

/**
 * The kernel counts memory that is reserved, and libwebp reserves all pixels, at 4 bytes, before it scales the image down: 716 MB
 * for the largest one, of which it touches little.
 */
export const KERNEL_LIMITS: KernelLimits = {
  maxDataBytes: 1000 * MEGABYTE,
  maxCpuSeconds: RECYCLE_CPU_SECONDS + MAX_BUDGET_SECONDS + 60,
};

export const THUMBNAIL_LIMITS: ProcessLimits = {
  maxBytes: MAX_PROCESS_BYTES,
  maxCpuSeconds: THUMBNAIL_SECONDS,
  maxSleepSeconds: MAX_SLEEP_SECONDS,
};

/**
 * A conversion runs on the machine of a person, one or two at a time, and holds whole pictures: an AVIF of 24 megapixels needs
 * 530 MB.
 */
export const CONVERSION_LIMITS: ProcessLimits = {
  maxBytes: 750 * MEGABYTE,
  maxCpuSeconds: 180,
  maxSleepSeconds: MAX_SLEEP_SECONDS,
};

/** What a process may use for one file. */
export function limitsOf({ kind, sizeBytes }: { kind: FileKind; sizeBytes: number }): ProcessLimits {
  const seconds = BASE_SECONDS + (sizeBytes / MEGABYTE) * SECONDS_PER_MEGABYTE[kind];
  const maxCpuSeconds = Math.min(Math.ceil(seconds), MAX_BUDGET_SECONDS);
  return { maxBytes: MAX_PROCESS_BYTES, maxCpuSeconds, maxSleepSeconds: MAX_SLEEP_SECONDS };
}

/** Completes the sentence "The inspection of cat.png …". */
export function exceededText(reason: LimitName | 'crash', limits: Omit<ProcessLimits, 'maxSleepSeconds'>): string {
  switch (reason) {
    case 'memory':
      return `needs more than ${Math.round(limits.maxBytes / MEGABYTE)} MB of memory`;
    case 'time':
      return `takes more than ${limits.maxCpuSeconds.toLocaleString('en-US')} s`;
    case 'hang':
      return 'does not end';
    case 'crash':
      return 'crashes its decoder';
  }
}

/** The work was ended, since it has used the processor time for which its client waits. */
export class CpuBudgetSpent extends Error {
  override readonly name = 'CpuBudgetSpent';
}
