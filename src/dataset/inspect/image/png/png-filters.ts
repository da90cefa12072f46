/**
 * Undoes the filter of a line (PNG specification, third edition, section 9), in place.
 *
 * @param options.filter 0 to 4
 * @param options.above the line above, zeros for the first one
 * @param options.step the bytes of one pixel, at least 1
 */
export function unfilter(
  line: Uint8Array,
  { filter, above, step }: { filter: number; above: Uint8Array; step: number },
): void {
  const { length } = line;
  switch (filter) {
    case SUB:
      for (let at = step; at < length; at++) line[at] = line[at]! + line[at - step]!;
      break;
    case UP:
      for (let at = 0; at < length; at++) line[at] = line[at]! + above[at]!;
      break;
    case AVERAGE:
      for (let at = 0; at < length; at++) {
        const left = at < step ? 0 : line[at - step]!;
        line[at] = line[at]! + ((left + above[at]!) >> 1);
      }
      break;
    case PAETH:
      for (let at = 0; at < length; at++) {
        const [left, corner] = at < step ? [0, 0] : [line[at - step]!, above[at - step]!];
        line[at] = line[at]! + nearestOf(left, above[at]!, corner);
      }
      break;
  }
}

const SUB = 1;
const UP = 2;
const AVERAGE = 3;
const PAETH = 4;

/** The one of the three that is nearest to `left + up - corner`. */
function nearestOf(left: number, up: number, corner: number): number {
  const toLeft = Math.abs(up - corner);
  const toUp = Math.abs(left - corner);
  const toCorner = Math.abs(left + up - 2 * corner);
  if (toLeft <= toUp && toLeft <= toCorner) return left;
  return toUp <= toCorner ? up : corner;
}
