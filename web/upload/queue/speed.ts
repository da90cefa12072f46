/** Long enough that a pause between two files is no change of speed. */
const WINDOW_MS = 8000;

/** Sooner, nobody can tell. */
const SHORTEST_MS = 1000;

/** How fast bytes leave, over the last few seconds. */
export class Speed {
  #samples: { bytes: number; at: number }[] = [];

  /** @param bytes all that have left so far; where they are fewer than before, a file has to begin anew */
  add(bytes: number, at: number): void {
    const last = this.#samples.at(-1);
    if (last !== undefined && bytes < last.bytes) this.#samples = [];
    this.#samples.push({ bytes, at });
    while (this.#samples.length > 2 && at - this.#samples[1]!.at >= WINDOW_MS) this.#samples.shift();
  }

  reset(): void {
    this.#samples = [];
  }

  /** `undefined` as long as nobody can tell. */
  bytesPerSecond(): number | undefined {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (first === undefined || last === undefined || last.at - first.at < SHORTEST_MS) return undefined;
    return ((last.bytes - first.bytes) / (last.at - first.at)) * 1000;
  }
}
