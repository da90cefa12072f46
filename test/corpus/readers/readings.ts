import { join, relative } from 'node:path';
import type { CorpusFile, Format } from '../corpus-file.js';
import { commandReaders } from './command-reader.js';
import { pythonReaders } from './python-reader.js';

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
  readonly formats: readonly Format[];
  /** Its complaint about an undamaged file says more about the reader than about the file. */
  readonly isForCopiesOnly?: boolean;
  /** Reads files one after the other, or several at once. */
  readonly read: (paths: readonly string[], onReading: (path: string, reading: Reading) => void) => Promise<void>;
}

/** The readers that are installed, and the names of those that are not. */
export async function installedReaders(): Promise<{ readers: Reader[]; missing: string[] }> {
  const [readers, missing]: [Reader[], string[]] = [[], []];
  for (const [name, find] of Object.entries({ ...pythonReaders, ...commandReaders })) {
    const reader = await find();
    if (reader === undefined) missing.push(name);
    else readers.push(reader);
  }
  return { readers, missing };
}

/** Readings by file and by the name of the reader. */
export type Readings = (file: CorpusFile, reader: string) => Reading | undefined;

/** Reads each file with each reader for its format. */
export async function readAll(
  cache: string,
  files: readonly CorpusFile[],
  readers: readonly Reader[],
  log: (line: string) => void,
): Promise<Readings> {
  const found = new Map<string, Reading>();
  const damaged = new Set(files.flatMap(({ damage }) => (damage === undefined ? [] : [damage.of])));
  for (const { name, formats, isForCopiesOnly, read } of readers) {
    // What such a reader says of an original counts only beside what it says of its copies.
    const isNeeded = ({ path, format, damage }: CorpusFile): boolean =>
      formats.includes(format) && (!isForCopiesOnly || damage !== undefined || damaged.has(path));
    const needed = files.filter(isNeeded).map(({ path }) => path);
    log(`${name} reads ${needed.length} files`);
    await read(
      needed.map((path) => join(cache, path)),
      (path, reading) => found.set(`${name} ${relative(cache, path)}`, reading),
    );
  }
  return ({ path }, reader) => found.get(`${reader} ${path}`);
}
