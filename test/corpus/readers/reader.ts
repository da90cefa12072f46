import type { Format } from '../corpus-file.js';

/** What a reference reader made of a file. */
export interface Reading {
  /** The file was read to its end without a complaint. */
  readonly ok: boolean;
  /** The first complaint. */
  readonly says?: string;
  /** The number of frames that were read. */
  readonly frames?: number;
  /** The number of frames that the tables of the container promise, if they do. */
  readonly promised?: number;
  /** A hash of the decoded picture. */
  readonly pixels?: string;
}

export interface Reader {
  readonly name: string;
  /** With the version: readings are kept until it changes. */
  readonly version: string;
  readonly formats: readonly Format[];
  /** Its complaint about an undamaged file says more about the reader than about the file. */
  readonly isForCopiesOnly?: boolean;
  /** Reads files one after the other, or several at once. */
  read(paths: readonly string[], onReading: (path: string, reading: Reading) => void): Promise<void>;
}
