interface Grid {
  readonly count: number;
  readonly columns: number;
  /** Rows that are seen at a time. */
  readonly rows: number;
}

/** Where a key leads from a place in a grid, which may be where it was; `undefined` for keys that lead nowhere. */
export function placeAfter(key: string, place: number, { count, columns, rows }: Grid): number | undefined {
  const last = count - 1;
  const within = (to: number) => Math.min(Math.max(to, 0), last);
  const isInLastRow = Math.floor(place / columns) === Math.floor(last / columns);
  switch (key) {
    case 'ArrowLeft':
      return within(place - 1);
    case 'ArrowRight':
      return within(place + 1);
    case 'ArrowUp':
      return place < columns ? place : place - columns;
    case 'ArrowDown':
      return isInLastRow ? place : within(place + columns);
    case 'PageUp':
      return within(place - rows * columns);
    case 'PageDown':
      return within(place + rows * columns);
    case 'Home':
      return 0;
    case 'End':
      return last;
    default:
      return undefined;
  }
}
