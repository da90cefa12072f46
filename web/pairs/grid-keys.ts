interface GridSize {
  readonly count: number;
  readonly columns: number;
  /** Rows that fit in the viewport. */
  readonly rows: number;
}

/** The index that a key moves to in a grid: the same index at an edge, `undefined` for other keys. */
export function indexAfterKey(key: string, index: number, { count, columns, rows }: GridSize): number | undefined {
  const last = count - 1;
  const within = (to: number) => Math.min(Math.max(to, 0), last);
  const isInLastRow = Math.floor(index / columns) === Math.floor(last / columns);
  switch (key) {
    case 'ArrowLeft':
      return within(index - 1);
    case 'ArrowRight':
      return within(index + 1);
    case 'ArrowUp':
      return index < columns ? index : index - columns;
    case 'ArrowDown':
      return isInLastRow ? index : within(index + columns);
    case 'PageUp':
      return within(index - rows * columns);
    case 'PageDown':
      return within(index + rows * columns);
    case 'Home':
      return 0;
    case 'End':
      return last;
    default:
      return undefined;
  }
}
