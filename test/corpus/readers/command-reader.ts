import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { availableParallelism } from 'node:os';
import { forEachConcurrent } from '../../../src/for-each-concurrent.js';
import type { Format } from '../corpus-file.js';
import type { Reader, Reading } from './readings.js';

const MAX_SECONDS = 60;

interface Ended {
  readonly code: number | null;
  readonly stdoutHash: string;
  /** The last 4 kB. */
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end. `undefined` if it is not installed. */
async function runCommand(command: string, args: readonly string[]): Promise<Ended | undefined> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const timer = setTimeout(() => child.kill('SIGKILL'), MAX_SECONDS * 1000);
  const hash = createHash('sha256');
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => {
    hash.update(chunk);
    stdout = (stdout + chunk.subarray(-4096).toString('latin1')).slice(-4096);
  });
  child.stderr.on('data', (chunk: Buffer) => {
    if (stderr.length < 4096) stderr += chunk.toString();
  });
  try {
    const [code] = (await once(child, 'close')) as [number | null];
    return { code, stdoutHash: hash.digest('hex').slice(0, 16), stdout, stderr };
  } catch {
    return undefined;
  } finally {
    clearTimeout(timer);
  }
}

interface Command {
  /** The program, and the arguments that print its version. */
  readonly version: readonly [program: string, option: string];
  readonly formats: readonly Format[];
  readonly isForCopiesOnly?: boolean;
  readonly args: (path: string) => readonly string[];
  readonly readingOf: (ended: Ended) => Reading;
}

async function commandReader(name: string, command: Command): Promise<Reader | undefined> {
  const { formats, isForCopiesOnly = false, args, readingOf } = command;
  const [program, option] = command.version;
  if ((await runCommand(program, [option])) === undefined) return undefined;
  const read: Reader['read'] = (paths, onReading) =>
    forEachConcurrent(paths, availableParallelism(), async (path) => {
      const ended = await runCommand(program, args(path));
      onReading(path, ended === undefined ? { ok: false, says: 'not started' } : readingOf(ended));
    });
  return { name, formats, isForCopiesOnly, read };
}

/** What is the same in every run: no addresses of decoders. */
const firstLine = (text: string): string => (text.split('\n')[0] ?? '').replace(/ @ 0x[0-9a-f]+/g, '').slice(0, 160);

const complaint = (text: string, { code }: Ended) => ({ ok: false, says: firstLine(text) || `exit ${code}` });

const quietReading = (ended: Ended): Reading =>
  ended.code === 0 && ended.stderr.trim() === '' ? { ok: true } : complaint(ended.stderr, ended);

const QUIET = ['-nostdin', '-nostats', '-v', 'error', '-threads', '1'];
const STRICT = [...QUIET, '-xerror', '-err_detect', 'explode'];
const TO_NOTHING = ['-map', '0:v:0', '-fps_mode', 'passthrough', '-progress', 'pipe:1', '-f', 'null', '-'];
const framesIn = (stdout: string): number => Number([...stdout.matchAll(/^frame=(\d+)/gm)].at(-1)?.[1] ?? 0);
const FFMPEG = ['ffmpeg', '-version'] as const;

const COMMANDS: Readonly<Record<string, Command>> = {
  /** libjpeg, which warns of what it repairs. Debian: libjpeg-turbo-progs. */
  djpeg: {
    version: ['djpeg', '-version'],
    formats: ['jpeg'],
    args: (path) => ['-dct', 'fast', '-nosmooth', path],
    readingOf: (ended) => ({ ...quietReading(ended), pixels: ended.stdoutHash }),
  },
  /** libavif, with which Pillow reads AVIF from version 11.3 on. Debian: libavif-bin. */
  avifdec: {
    version: ['avifdec', '--version'],
    formats: ['avif'],
    args: (path) => ['--jobs', '1', '--info', path],
    readingOf: (ended) => {
      const { code, stdout, stderr } = ended;
      return code === 0 && !/^ERROR/m.test(stderr + stdout) ? { ok: true } : complaint(stderr || stdout, ended);
    },
  },
  /** ffmpeg's own decoders of PNG and WebP, with the whole file as one picture. It also mentions metadata that it can't read. */
  'ffmpeg -f image2': {
    version: FFMPEG,
    formats: ['png', 'webp'],
    isForCopiesOnly: true,
    args: (path) => [...STRICT, '-f', 'image2', '-pattern_type', 'none', '-i', path, ...TO_NOTHING],
    readingOf: (ended) => (ended.code === 0 ? { ok: true } : quietReading(ended)),
  },
  /** ffmpeg that ends at the first complaint. */
  'ffmpeg -xerror': {
    version: FFMPEG,
    formats: ['avif', 'clip'],
    isForCopiesOnly: true,
    args: (path) => [...STRICT, '-i', path, ...TO_NOTHING],
    readingOf: (ended) => ({ ...quietReading(ended), frames: framesIn(ended.stdout) }),
  },
  /** ffmpeg that reads what can be read. */
  ffmpeg: {
    version: FFMPEG,
    formats: ['clip'],
    args: (path) => [...QUIET, '-i', path, ...TO_NOTHING],
    readingOf: (ended) => {
      const frames = framesIn(ended.stdout);
      return frames > 0 ? { ok: true, frames } : { frames, ...complaint(ended.stderr, ended) };
    },
  },
  /** The number of packets, and of frames that the container promises. */
  ffprobe: {
    version: ['ffprobe', '-version'],
    formats: ['clip'],
    args: (path) => [
      ...['-v', 'quiet', '-select_streams', 'v:0', '-count_packets', '-of', 'compact=p=0:nk=0'],
      ...['-show_entries', 'stream=nb_frames,nb_read_packets', path],
    ],
    readingOf: ({ code, stdout }) => {
      const frames = Number(/nb_read_packets=(\d+)/.exec(stdout)?.[1] ?? 0);
      const promised = /nb_frames=(\d+)/.exec(stdout)?.[1];
      return { ok: code === 0, frames, ...(promised === undefined ? {} : { promised: Number(promised) }) };
    },
  },
};

export const commandReaders = Object.fromEntries(
  Object.entries(COMMANDS).map(([name, command]) => [name, () => commandReader(name, command)]),
);
