/** The parts of a file that hold media data (`mdat` boxes), in rising order. */
export class MediaRanges {
  private readonly starts: number[] = [];
  private readonly ends: number[] = [];
  private last = 0;

  /** Call it with ranges in the order of the file. */
  add({ payload, end }: { payload: number; end: number }): void {
    this.starts.push(payload);
    this.ends.push(end);
  }

  /** Returns whether one range holds all of these bytes. Tries the last match first, since chunks follow each other. */
  contains(start: number, end: number): boolean {
    if (this.holds(this.last, start, end)) return true;
    this.last = this.rangeBefore(start);
    return this.holds(this.last, start, end);
  }

  private holds(index: number, start: number, end: number): boolean {
    const [from = Number.POSITIVE_INFINITY, to = 0] = [this.starts[index], this.ends[index]];
    return start >= from && end <= to;
  }

  /** The last range that begins at `offset` or before; 0 if there is none. */
  private rangeBefore(offset: number): number {
    let [low, high] = [0, this.starts.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((this.starts[middle] ?? 0) <= offset) low = middle;
      else high = middle;
    }
    return low;
  }
}
