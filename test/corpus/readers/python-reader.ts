import { type ChildProcessWithoutNullStreams, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Format } from '../corpus-file.js';
import type { Reader, Reading } from './reader.js';

/** Debian's python3-pil, python3-opencv and python3-av are for its own interpreter, which need not be the first on the PATH. */
const INTERPRETERS = ['/usr/bin/python3', 'python3'];

/** A script beside this file that reads one path a line and answers each with a line of JSON; undefined without its modules. */
async function pythonReader(options: {
  name: string;
  script: string;
  versions: string;
  formats: readonly Format[];
}): Promise<Reader | undefined> {
  const { name, script, versions, formats } = options;
  for (const interpreter of INTERPRETERS) {
    const found = await promisify(execFile)(interpreter, ['-c', versions]).catch(() => undefined);
    if (found === undefined) continue;
    const start = () => spawn(interpreter, [fileURLToPath(new URL(script, import.meta.url))]);
    return {
      name,
      version: found.stdout.trim(),
      formats,
      read: (paths, onReading) => readByLines(start, paths, onReading),
    };
  }
  return undefined;
}

/** Pillow, called as the trainer calls it. Needs python3-pil. */
export const pillow = (): Promise<Reader | undefined> =>
  pythonReader({
    name: 'Pillow',
    script: 'read-images.py',
    versions: 'import PIL; print(PIL.__version__)',
    formats: ['jpeg', 'png', 'webp', 'gif', 'tiff', 'bmp'],
  });

/** OpenCV, and PyAV for what OpenCV can't read, as in the trainer. Needs python3-opencv and python3-av. */
export const openCv = (): Promise<Reader | undefined> =>
  pythonReader({
    name: 'OpenCV',
    script: 'read-clips.py',
    versions: 'import cv2, av; print(cv2.__version__, av.__version__)',
    formats: ['clip'],
  });

async function readByLines(
  start: () => ChildProcessWithoutNullStreams,
  paths: readonly string[],
  onReading: (path: string, reading: Reading) => void,
): Promise<void> {
  const queue = paths.values();
  let crashed: string | undefined;
  do {
    crashed = await readUntilCrash(start(), queue, onReading);
    if (crashed !== undefined) onReading(crashed, { ok: false, says: 'crashed' });
  } while (crashed !== undefined);
}

/** Returns the path that ended the process, or nothing when all paths have been read. */
async function readUntilCrash(
  child: ChildProcessWithoutNullStreams,
  queue: Iterator<string, undefined>,
  onReading: (path: string, reading: Reading) => void,
): Promise<string | undefined> {
  child.stderr.resume();
  child.stdin.on('error', () => {});
  const ended = once(child, 'close');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  for (let next = queue.next(); !next.done; next = queue.next()) {
    child.stdin.write(`${next.value}\n`);
    const line = await lines.next();
    if (line.done) return next.value;
    onReading(next.value, JSON.parse(line.value) as Reading);
  }
  child.stdin.end();
  await ended;
  return undefined;
}
