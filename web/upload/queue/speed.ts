/** Long enough that a pause between two files does not change the result much. */
const WINDOW_MS = 8000;

/** Samples over a shorter time give no result. */
const MIN_MS = 1000;

/** Measures the upload speed over the last seconds. */
export class Speed {
  #samples: { bytes: number; at: number }[] = [];

  /** @param bytes sent so far, in total; a lower number than before means that a file was restarted */
  add(bytes: number, at: number): void {
    const last = this.#samples.at(-1);
    if (last !== undefined && bytes < last.bytes) this.#samples = [];
    this.#samples.push({ bytes, at });
    while (this.#samples.length > 2 && at - this.#samples[1]!.at >= WINDOW_MS) this.#samples.shift();
  }

  reset(): void {
    this.#samples = [];
  }

  /** `undefined` while the samples span less than a second. */
  bytesPerSecond(): number | undefined {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (first === undefined || last === undefined || last.at - first.at < MIN_MS) return undefined;
    return ((last.bytes - first.bytes) / (last.at - first.at)) * 1000;
  }
}
