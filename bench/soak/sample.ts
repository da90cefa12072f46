import { readdir } from 'node:fs/promises';
import { descendantsMegabytes, residentMegabytes } from './process-tree.js';

/** The resources of a server at one moment. */
export interface SoakSample {
  /** Since the start of the load. */
  readonly seconds: number;
  readonly serverMegabytes: number;
  /** Of all processes that it started, such as inspection processes. */
  readonly childrenMegabytes: number;
  readonly descriptors: number;
}

/** Reads `/proc` (`proc(5)`): resident memory and open files. */
export async function sampleOf(pid: number, seconds: number): Promise<SoakSample> {
  const [serverMegabytes, childrenMegabytes, descriptors] = await Promise.all([
    residentMegabytes(pid),
    descendantsMegabytes(pid),
    readdir(`/proc/${pid}/fd`),
  ]);
  return { seconds, serverMegabytes, childrenMegabytes, descriptors: descriptors.length };
}

/** The change of the values in an hour, by least squares. */
export function slopePerHour(points: readonly { seconds: number; value: number }[]): number {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [x, y] = [mean(points.map(({ seconds }) => seconds)), mean(points.map(({ value }) => value))];
  const covariance = points.reduce((sum, { seconds, value }) => sum + (seconds - x) * (value - y), 0);
  const variance = points.reduce((sum, { seconds }) => sum + (seconds - x) ** 2, 0);
  return variance === 0 ? 0 : (covariance / variance) * 3600;
}

/** The value that this share of the values does not exceed. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
