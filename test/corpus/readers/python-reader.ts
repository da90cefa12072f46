import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Format } from '../corpus-file.js';
import type { Reader, Reading } from './readings.js';

/** Debian's python3-pil, python3-opencv and python3-av are for its own interpreter, which need not be the first on the PATH. */
const INTERPRETERS = ['/usr/bin/python3', 'python3'];

/** A script beside this file that reads one path a line and answers each with a line of JSON; undefined without its modules. */
async function pythonReader(
  name: string,
  script: string,
  { modules, formats }: { modules: string; formats: readonly Format[] },
): Promise<Reader | undefined> {
  for (const interpreter of INTERPRETERS) {
    const found = await promisify(execFile)(interpreter, ['-c', `import ${modules}`]).catch(() => undefined);
    if (found === undefined) continue;
    const start = () => spawn(interpreter, [fileURLToPath(new URL(script, import.meta.url))]);
    const read: Reader['read'] = async (paths, onReading) => {
      const queue = paths.values();
      for (let crashed = true; crashed; ) crashed = await readUntilCrash(start(), queue, onReading);
    };
    return { name, formats, read };
  }
  return undefined;
}

/** Returns whether a path ended the process. */
async function readUntilCrash(
  child: ReturnType<typeof spawn> & { stdin: NodeJS.WritableStream; stdout: NodeJS.ReadableStream },
  queue: Iterator<string, undefined>,
  onReading: (path: string, reading: Reading) => void,
): Promise<boolean> {
  child.stderr?.resume();
  child.stdin.on('error', () => {});
  const ended = once(child, 'close');
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  for (let next = queue.next(); !next.done; next = queue.next()) {
    child.stdin.write(`${next.value}\n`);
    const line = await lines.next();
    onReading(next.value, line.done ? { ok: false, says: 'crashed' } : (JSON.parse(line.value) as Reading));
    if (line.done) return true;
  }
  child.stdin.end();
  await ended;
  return false;
}

export const pythonReaders = {
  /** As the trainer calls it. Needs python3-pil. */
  Pillow: () => pythonReader('Pillow', 'read-images.py', { modules: 'PIL', formats: ['jpeg', 'png', 'webp'] }),
  /** OpenCV, and PyAV for what OpenCV can't read, as in the trainer. Needs python3-opencv and python3-av. */
  OpenCV: () => pythonReader('OpenCV', 'read-clips.py', { modules: 'cv2, av', formats: ['clip'] }),
};
