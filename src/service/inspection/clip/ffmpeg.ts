import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { basename, delimiter, dirname, isAbsolute, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { BackendUnusable } from '../../../storage/backend-unusable.js';

const MAX_START_MS = 10_000;

/** The first version with all options of `probe-clip.ts`. */
const MIN_VERSION = [4, 4] as const;

export type FfmpegChoice =
  | { readonly kind: 'none' }
  | { readonly kind: 'named'; readonly program: string; readonly searchPath: string }
  | { readonly kind: 'search'; readonly searchPath: string };

/** An ffmpeg with an ffprobe beside it. */
export interface Ffmpeg {
  readonly path: string;
  /** As printed: `7.1.5-0+deb13u1`. */
  readonly version: string;
}

export function ffmpegChoiceOf(setting: string | undefined, searchPath = ''): FfmpegChoice {
  if (setting === 'none') return { kind: 'none' };
  return setting === undefined ? { kind: 'search', searchPath } : { kind: 'named', program: setting, searchPath };
}

/** Finds ffmpeg and runs it once; `undefined` if there is none. @throws BackendUnusable if a named one doesn't run */
export async function findFfmpeg(choice: FfmpegChoice): Promise<Ffmpeg | undefined> {
  if (choice.kind === 'none') return undefined;
  const path = await locate(choice);
  try {
    if (path === undefined) throw new Error('there is no such program');
    if (!(await isProgram(ffprobeOf(path)))) throw new Error('there is no ffprobe beside it');
    return { path, version: await versionOf(path) };
  } catch (error) {
    if (choice.kind === 'search') return undefined;
    const reason = error instanceof Error ? error.message : error;
    const message = `can't use the ffmpeg at ${choice.program}: ${reason}. Correct --ffmpeg (TRAINYARD_FFMPEG), or set it to none.`;
    throw new BackendUnusable(message, { cause: error, isTemporary: false });
  }
}

/** Whether there is a program. It may not run; `findFfmpeg` tries it, which takes much longer. */
export async function hasFfmpeg(choice: FfmpegChoice): Promise<boolean> {
  return choice.kind !== 'none' && (await locate(choice)) !== undefined;
}

/** `ffprobe8` beside `ffmpeg8`: it has the same decoders, and reports facts and frames in one run. */
export function ffprobeOf(ffmpegPath: string): string {
  const name = basename(ffmpegPath);
  return join(dirname(ffmpegPath), name.includes('ffmpeg') ? name.replace('ffmpeg', 'ffprobe') : 'ffprobe');
}

/** How clips are checked on this system, in one sentence. */
export function ffmpegSentence(ffmpeg: Ffmpeg | undefined, choice: FfmpegChoice): string {
  if (ffmpeg !== undefined) return `every frame of a clip is decoded with ffmpeg ${ffmpeg.version} (${ffmpeg.path})`;
  const effect = 'the frames of clips are not decoded, and each clip gets the warning NOT_FULLY_CHECKED';
  if (choice.kind === 'none') return `ffmpeg is turned off: ${effect}`;
  return `no ffmpeg found: ${effect}; install it (on Debian and Ubuntu: apt install ffmpeg), or name it with --ffmpeg`;
}

/** A bare name is searched on the PATH. */
async function locate(choice: Exclude<FfmpegChoice, { kind: 'none' }>): Promise<string | undefined> {
  const program = choice.kind === 'named' ? choice.program : 'ffmpeg';
  const isBare = !program.includes('/') && !program.includes('\\');
  const folders = choice.searchPath.split(delimiter).filter((folder) => isAbsolute(folder));
  const candidates = isBare ? folders.map((folder) => join(folder, program)) : [resolve(program)];
  for (const candidate of candidates) if (await isProgram(candidate)) return candidate;
  return undefined;
}

async function isProgram(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

/** @throws Error that completes "can't use the ffmpeg: " */
async function versionOf(path: string): Promise<string> {
  const options = { env: { LC_ALL: 'C' }, timeout: MAX_START_MS, maxBuffer: 1 << 20, killSignal: 'SIGKILL' } as const;
  const { stdout } = await promisify(execFile)(path, ['-hide_banner', '-version'], options).catch((error) => {
    throw new Error('it does not run', { cause: error });
  });
  const version = /^ffmpeg version (\S{1,100})/.exec(stdout)?.[1];
  if (version === undefined) throw new Error('it is not ffmpeg');
  if (isOlder(version)) throw new Error(`its version is ${version}, and ${MIN_VERSION.join('.')} or later is needed`);
  return version;
}

/** Builds from the repository have versions such as `N-119000-g1234`, and count as new. */
function isOlder(version: string): boolean {
  const [, major, minor] = /^n?(\d+)\.(\d+)/.exec(version) ?? [];
  if (major === undefined) return false;
  return Number(major) < MIN_VERSION[0] || (Number(major) === MIN_VERSION[0] && Number(minor) < MIN_VERSION[1]);
}
