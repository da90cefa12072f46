import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import type { CorpusFile } from '../corpus-file.js';
import { COMMAND_READERS } from './command-reader.js';
import { openCv, pillow } from './python-reader.js';
import type { Reader, Reading } from './reader.js';

/** The readers that are installed, and the names of those that are not. */
export async function installedReaders(): Promise<{ readers: Reader[]; missing: string[] }> {
  const makers = {
    Pillow: pillow,
    OpenCV: openCv,
    ...Object.fromEntries(COMMAND_READERS.map((make) => [make.name, make])),
  };
  const readers: Reader[] = [];
  const missing: string[] = [];
  for (const [name, make] of Object.entries(makers)) {
    const reader = await make();
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
  const kept = new Map<string, Reading>();
  const store = join(cache, 'readings.jsonl');
  if (existsSync(store)) {
    for (const line of readFileSync(store, 'utf8').split('\n')) {
      const entry = parsed(line);
      if (entry !== undefined) kept.set(entry[0], entry[1]);
    }
  }
  const versions = new Map(readers.map(({ name, version }) => [name, version]));
  // The extension counts too: ffmpeg's guess of the container depends on it.
  const keyOf = (file: CorpusFile, reader: string) =>
    `${reader} ${versions.get(reader)} ${file.sha256}${extname(file.path)}`;
  const damaged = new Set(files.flatMap(({ damage }) => (damage === undefined ? [] : [damage.of])));
  for (const reader of readers) {
    // What this reader says of an original counts only beside what it says of its copies.
    const isNeeded = ({ path, format, damage }: CorpusFile): boolean =>
      reader.formats.includes(format) && (!reader.isForCopiesOnly || damage !== undefined || damaged.has(path));
    const unread = new Map(
      files
        .filter(isNeeded)
        .filter((file) => !kept.has(keyOf(file, reader.name)))
        .map((file) => [join(cache, file.path), file]),
    );
    if (unread.size === 0) continue;
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
function parsed(line: string): [string, Reading] | undefined {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
