import type { Row } from './table.js';

/** What a benchmark is given. */
export interface Run {
  /** An empty folder of its own, removed afterwards. */
  readonly folder: string;
  /** Fewer and smaller, for a first look. */
  readonly isQuick: boolean;
  readonly say: (line: string) => void;
}

/** One benchmark: some lines of the table. */
export type Benchmark = (run: Run) => Promise<Row[]>;
