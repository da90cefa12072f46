import type { Backend, Place } from './backends.js';
import type { Row } from './table.js';

/** What a benchmark is given. */
export interface Run {
  /** An empty folder of its own, removed afterwards. */
  readonly folder: string;
  /** Fewer and smaller, for a first look. */
  readonly isQuick: boolean;
  /** What the servers of this run may keep elsewhere than in their folder; by default nothing. */
  readonly backends: readonly Backend[];
  /** An empty database or an empty place in a bucket, or both, to be discarded by whoever asked for it. */
  readonly newPlace: (...backends: readonly Backend[]) => Promise<Place>;
  readonly say: (line: string) => void;
}

/** One benchmark: some lines of the table. */
export type Benchmark = (run: Run) => Promise<Row[]>;
