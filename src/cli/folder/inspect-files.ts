import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { shellWord } from '../../command-line.js';
import type { Role } from '../../dataset/dataset.js';
import { allFindings, type Findings, hasAudioIn } from '../../dataset/findings.js';
import type { Inspection } from '../../dataset/inspect/inspection.js';
import { isTextCaption, mediaTypeOf, stemOf } from '../../dataset/media.js';
import { byFilename } from '../../dataset/names.js';
import { pairFoldersOf } from '../../dataset/pairs/pair-folders.js';
import type { Problem } from '../../dataset/problems.js';
import { forEachConcurrent } from '../../for-each-concurrent.js';
import { inspectFile } from '../../service/check.js';
import { clipDecoder } from '../../service/inspection/clip/decode-clip.js';
import type { Ffmpeg } from '../../service/inspection/clip/ffmpeg.js';
import { InspectionPool } from '../../service/inspection/inspection-pool.js';
import { sha256Of } from '../../service/mount/bring-files.js';
import type { Call } from '../remote.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { bar, type ProgressDisplay } from '../terminal/progress.js';
import { counted, errorMessage } from '../terminal/text.js';
import { type FolderContents, type LocalFile, type Notice, notice, readPaths, withContent } from './read-folder.js';

export interface InspectedFile {
  readonly file: LocalFile;
  readonly inspection: Inspection;
}

/** The result of inspecting local files. The errors are the `faults` and those in `findings`. */
export interface FolderReport extends Omit<FolderContents, 'files'> {
  readonly inspected: readonly InspectedFile[];
  readonly findings: Findings;
}

/** Runs `work` with a pool, and frees the memory of its processes and decoders at the end. */
export async function withInspectionPool<T>(work: (pool: InspectionPool) => Promise<T>): Promise<T> {
  const pool = new InspectionPool();
  return work(pool).finally(() => pool.close());
}

/** Inspects files as the service does, concurrently, and remembers the results of unchanged files. */
export class FileInspector {
  readonly #ffmpeg: Ffmpeg | undefined;
  /** By question and path; each result is valid while the file keeps its version. */
  readonly #results = new Map<string, { version: string; result: unknown }>();

  /** @param options.ffmpeg decodes every frame of clips; without it only their structure is inspected */
  constructor({ ffmpeg }: { ffmpeg?: Ffmpeg | undefined } = {}) {
    this.#ffmpeg = ffmpeg;
  }

  async inspectAll(
    files: readonly LocalFile[],
    { role = 'training', display, signal }: Pick<Call, 'display' | 'signal'> & { role?: Role | undefined },
  ): Promise<Pick<FolderReport, 'inspected' | 'unreadable'>> {
    const inspected: InspectedFile[] = [];
    const unreadable: Notice[] = [];
    // Closed before files are sent.
    await withInspectionPool(async (pool) => {
      const decodeClip = this.#ffmpeg && clipDecoder(this.#ffmpeg, pool);
      const inspectors = { inspect: pool.inspect.bind(pool), decodeClip };
      await forEachConcurrent(files, availableParallelism() + 1, async (file) => {
        try {
          const inspection = await this.#remembered(role, file, () =>
            withContent(file, async () => {
              // Unpacked once for both.
              if (file.unpack !== undefined) await this.#remembered('sha256', file, () => sha256Of(file.path));
              return (await inspectFile(inspectors, file, { accountId: '', role, signal })).inspection;
            }),
          );
          inspected.push({ file, inspection });
        } catch (error) {
          signal.throwIfAborted();
          unreadable.push(notice('UNREADABLE', file.filename, `can't be read: ${errorMessage(error)}.`));
        }
        const done = inspected.length + unreadable.length;
        display.update(() => [`${bar(done, files.length)} checked ${done} of ${counted(files.length, 'file')}`]);
      });
    });
    return { inspected: inspected.sort((a, b) => byFilename(a.file, b.file)), unreadable };
  }

  sha256(file: LocalFile): Promise<string> {
    return this.#remembered('sha256', file, () => withContent(file, () => sha256Of(file.path)));
  }

  async #remembered<T>(question: string, { path, version }: LocalFile, compute: () => Promise<T>): Promise<T> {
    const key = `${question} ${path}`;
    const known = this.#results.get(key);
    if (known?.version === version) return known.result as T;
    const result = await compute();
    this.#results.set(key, { version, result });
    return result;
  }
}

/** Reads and inspects local files, and shows the progress. @throws CommandError with 66 if no file is for a dataset */
export async function inspectPaths(
  paths: readonly string[],
  options: {
    role?: Role;
    follow?: boolean | undefined;
    inspector: FileInspector;
    display: ProgressDisplay;
    signal: AbortSignal;
    /** What is there, if it is known already. */
    contents?: FolderContents | undefined;
  },
): Promise<FolderReport> {
  const { role, inspector, display, signal } = options;
  const contents = options.contents ?? (await readPaths(paths, { follow: options.follow === true }));
  const { files, skipped, faults } = contents;
  if (files.length + faults.length + contents.unreadable.length === 0) {
    const left = skipped.length === 0 ? '' : ` Left out: ${skipped.map(({ filename }) => filename).join(', ')}.`;
    const hint = hintFor(paths, skipped);
    throw new CommandError(EXIT.noInput, `${paths.join(' ')}: no image, video or caption found.${left}${hint}`);
  }
  const { inspected, unreadable } = await inspector.inspectAll(files, { role, display, signal });
  display.clear();
  return {
    inspected,
    findings: findingsIn(inspected, { role }),
    skipped,
    faults,
    unreadable: [...contents.unreadable, ...unreadable],
  };
}

/** Advice for a folder of folders: kohya's (`10_name class`), or targets, controls and masks. */
function hintFor([folder = '', ...others]: readonly string[], skipped: readonly Notice[]): string {
  const names = skipped.flatMap(({ code, filename }) => (code === 'FOLDER' ? [filename.slice(0, -1)] : []));
  if (others.length > 0) return '';
  const kohya = names.find((name) => /^\d+_/.test(name));
  if (kohya !== undefined) {
    const bring = `To bring them with their repeats, run: trainyard import ${shellWord(folder)}`;
    return ` The files are in its folders. ${bring}\nTo check one, run: trainyard check ${shellWord(join(folder, kohya))}`;
  }
  if (pairFoldersOf(names) === undefined) return '';
  return ` To push its folders as linked datasets, run: trainyard push ${shellWord(folder)} --pairs`;
}

/** The problems of a dataset with these files, in the service's words. @param options.others names of its further files */
export function findingsIn(
  inspected: readonly InspectedFile[],
  { others = [], role = 'training' }: { others?: readonly string[]; role?: Role | undefined } = {},
): Findings {
  const named = (filename: string) => ({ filename, kind: mediaTypeOf(filename)?.kind ?? 'caption' });
  const problems = inspected.flatMap<Problem>(({ inspection }) =>
    inspection.ok ? inspection.warnings : [inspection.problem],
  );
  const good = inspected.flatMap(({ file, inspection }) =>
    inspection.ok ? { ...named(file.filename), hasAudio: hasAudioIn(inspection.facts) } : [],
  );
  const rejected = inspected.flatMap(({ file, inspection }) => (inspection.ok ? [] : named(file.filename)));
  // Of two names that collide, the later one has the error: the one that would be sent.
  const findings = allFindings(problems, [...others.map(named), ...good], { uploads: rejected, role });
  // A caption that can't be used is not also missing.
  const captioned = new Set(
    rejected.filter(({ filename }) => isTextCaption(filename)).map(({ filename }) => stemOf(filename)),
  );
  const isTold = ({ code, filename = '' }: Problem) => code !== 'MISSING_CAPTION' || !captioned.has(stemOf(filename));
  return { ...findings, errors: findings.errors.filter(isTold) };
}
