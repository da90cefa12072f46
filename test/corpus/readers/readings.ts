import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
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
  /** With the version: readings are kept until it changes. */
  readonly version: string;
  readonly formats: readonly Format[];
  /** Its complaint about an undamaged file says more about the reader than about the file. */
  readonly isForCopiesOnly?: boolean;
  /** Reads files one after the other, or several at once. */
  read(paths: readonly string[], onReading: (path: string, reading: Reading) => void): Promise<void>;
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

/** Reads each file with each reader for its format. Readings are kept in a file in the cache, so that a second run is fast. */
export async function readAll(
  cache: string,
  files: readonly CorpusFile[],
  readers: readonly Reader[],
  log: (line: string) => void,
): Promise<Readings> {
  const store = join(cache, 'readings.jsonl');
  const lines = existsSync(store) ? readFileSync(store, 'utf8').split('\n') : [];
  const kept = new Map<string, Reading>(lines.flatMap(parsed));
  const versions = new Map(readers.map(({ name, version }) => [name, version]));
  // The extension counts too: ffmpeg's guess of the container depends on it.
  const keyOf = (file: CorpusFile, reader: string) =>
    `${reader} ${versions.get(reader)} ${file.sha256}${extname(file.path)}`;
  const damaged = new Set(files.flatMap(({ damage }) => (damage === undefined ? [] : [damage.of])));
  for (const reader of readers) {
    // What this reader says of an original counts only beside what it says of its copies.
    const isNeeded = ({ path, format, damage }: CorpusFile): boolean =>
      reader.formats.includes(format) && (!reader.isForCopiesOnly || damage !== undefined || damaged.has(path));
    const isUnread = (file: CorpusFile) => isNeeded(file) && !kept.has(keyOf(file, reader.name));
    const unread = new Map(files.filter(isUnread).map((file) => [join(cache, file.path), file]));
    let done = 0;
    await reader.read([...unread.keys()], (path, reading) => {
      const key = keyOf(unread.get(path)!, reader.name);
      kept.set(key, reading);
      appendFileSync(store, `${JSON.stringify([key, reading])}\n`);
      if (++done % 100 === 0 || done === unread.size) log(`${reader.name}: ${done} of ${unread.size}`);
    });
  }
  return (file, reader) => kept.get(keyOf(file, reader));
}

/** The last line may be incomplete, if the run that wrote it was interrupted. */
function parsed(line: string): [string, Reading][] {
  try {
    return [JSON.parse(line)];
  } catch {
    return [];
  }
}
