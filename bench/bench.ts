import type { Backend, EmptyInstallation } from './backends.js';
import type { Row } from './table.js';

/** The context of a benchmark. */
export interface Run {
  /** An empty folder of its own, removed afterwards. */
  readonly folder: string;
  /** Fewer and smaller files. */
  readonly isQuick: boolean;
  /** The backends that the servers use instead of their data folder. */
  readonly backends: readonly Backend[];
  /** Creates an empty database, an empty prefix of a bucket, or both. The caller discards it. */
  readonly newInstallation: (...backends: readonly Backend[]) => Promise<EmptyInstallation>;
  readonly log: (line: string) => void;
}

/** Measures some rows of the table. */
export type Benchmark = (run: Run) => Promise<Row[]>;
