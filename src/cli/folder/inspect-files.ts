import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { availableParallelism } from 'node:os';
import { pipeline } from 'node:stream/promises';
import type { DatasetFile } from '../../dataset/dataset.js';
import { type Findings, findingsOf } from '../../dataset/findings.js';
import type { Facts, Inspection } from '../../dataset/inspect/inspection.js';
import { mediaTypeOf } from '../../dataset/media.js';
import type { Warning } from '../../dataset/problems.js';
import { forEachConcurrent } from '../../for-each-concurrent.js';
import { InspectionPool } from '../../service/inspection/inspection-pool.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { bar, type ProgressDisplay } from '../terminal/progress.js';
import { counted, printable } from '../terminal/text.js';
import { type LocalFile, type Notice, readPaths } from './read-folder.js';

export interface InspectedFile {
  readonly file: LocalFile;
  readonly inspection: Inspection;
}

interface FolderInspection {
  readonly inspected: readonly InspectedFile[];
  /** Files that could not be read. */
  readonly unreadable: readonly Notice[];
}

/** The result of inspecting local files. */
export interface FolderReport extends FolderInspection {
  readonly findings: Findings;
  readonly skipped: readonly Notice[];
  /** Names that no dataset accepts; errors beside those of the findings. */
  readonly faults: readonly Notice[];
}

/** A file that keeps its size and modification time is taken as unchanged. */
type FileState = Pick<LocalFile, 'sizeBytes' | 'modifiedMs'>;

/** Inspects files as the service does, concurrently, and remembers the results of unchanged files. */
export class FileInspector {
  readonly #inspections = new Map<string, FileState & { inspection: Inspection }>();
  readonly #hashes = new Map<string, FileState & { sha256: string }>();

  /** @throws the signal's reason */
  async inspectAll(
    files: readonly LocalFile[],
    { signal, onInspected }: { signal: AbortSignal; onInspected?: (files: number) => void },
  ): Promise<FolderInspection> {
    const inspected: InspectedFile[] = [];
    const unreadable: Notice[] = [];
    // Closed afterwards: its threads and their decoders would hold memory while files are sent.
    const pool = new InspectionPool();
    try {
      await forEachConcurrent(files, availableParallelism() + 1, async (file) => {
        try {
          inspected.push({ file, inspection: await this.#inspect(file, { pool, signal }) });
        } catch (error) {
          signal.throwIfAborted();
          unreadable.push(unreadableNotice(file.filename, error));
        }
        onInspected?.(inspected.length + unreadable.length);
      });
    } finally {
      await pool.close();
    }
    return { inspected: inspected.sort((a, b) => (a.file.filename < b.file.filename ? -1 : 1)), unreadable };
  }

  async #inspect(
    { path, filename, sizeBytes, modifiedMs }: LocalFile,
    { pool, signal }: { pool: InspectionPool; signal: AbortSignal },
  ): Promise<Inspection> {
    const known = this.#inspections.get(path);
    if (known?.sizeBytes === sizeBytes && known.modifiedMs === modifiedMs) return known.inspection;
    const inspection = await pool.inspect({ path, filename, sizeBytes }, signal);
    this.#inspections.set(path, { sizeBytes, modifiedMs, inspection });
    return inspection;
  }

  /** The SHA-256 of a file's bytes, in lower-case hexadecimal. */
  async sha256({ path, sizeBytes, modifiedMs }: LocalFile): Promise<string> {
    const known = this.#hashes.get(path);
    if (known?.sizeBytes === sizeBytes && known.modifiedMs === modifiedMs) return known.sha256;
    const hash = createHash('sha256');
    await pipeline(createReadStream(path), hash);
    const sha256 = hash.digest('hex');
    this.#hashes.set(path, { sizeBytes, modifiedMs, sha256 });
    return sha256;
  }
}

/**
 * Reads and inspects local files, and shows the progress.
 *
 * @throws CommandError with 66 if the paths contain no file for a dataset
 */
export async function inspectPaths(
  paths: readonly string[],
  options: { follow: boolean; inspector: FileInspector; display: ProgressDisplay; signal: AbortSignal },
): Promise<FolderReport> {
  const { inspector, display, signal } = options;
  const contents = await readPaths(paths, { follow: options.follow });
  const { files, skipped, faults } = contents;
  if (files.length + faults.length + contents.unreadable.length === 0) {
    const left = skipped.length === 0 ? '' : ` Left out: ${skipped.map(({ filename }) => filename).join(', ')}.`;
    throw new CommandError(EXIT.noInput, `${paths.join(' ')}: no image, video or caption found.${left}`);
  }
  const onInspected = (done: number) => {
    display.update(() => [`${bar(done, files.length)} checked ${done} of ${counted(files.length, 'file')}`]);
  };
  const { inspected, unreadable } = await inspector.inspectAll(files, { signal, onInspected });
  display.clear();
  return {
    inspected,
    findings: findingsIn(inspected),
    skipped,
    faults,
    unreadable: [...contents.unreadable, ...unreadable],
  };
}

function unreadableNotice(filename: string, error: unknown): Notice {
  const reason = error instanceof Error ? error.message : String(error);
  return { code: 'UNREADABLE', filename, message: `${printable(filename)} can't be read: ${reason}.` };
}

/**
 * The problems that a dataset of these files would have, in the service's own words.
 *
 * @param others names of further files in that dataset: stored already, or generated captions
 */
export function findingsIn(inspected: readonly InspectedFile[], others: readonly string[] = []): Findings {
  const files = [
    ...inspected.map(({ file, inspection }) => datasetFile(file.filename, uploadOf(file, inspection))),
    ...others.map((filename) => datasetFile(filename, stored({ sizeBytes: 1, facts: factsOf(filename) }))),
  ];
  return findingsOf(files, 0);
}

function uploadOf({ sizeBytes }: LocalFile, inspection: Inspection): DatasetFile['upload'] {
  if (!inspection.ok) return { state: 'rejected', problem: inspection.problem, finalizedAt: 0 };
  return stored({ sizeBytes, facts: inspection.facts, warnings: inspection.warnings });
}

function stored(upload: { sizeBytes: number; facts: Facts; warnings?: readonly Warning[] }): DatasetFile['upload'] {
  return { state: 'stored', sha256: '', contentType: '', warnings: [], blobVersion: null, finalizedAt: 0, ...upload };
}

function datasetFile(filename: string, upload: DatasetFile['upload']): DatasetFile {
  const kind = mediaTypeOf(filename)?.kind ?? 'caption';
  return { id: '', datasetId: '', filename, kind, createdAt: 0, upload };
}

/** Facts with the kind alone; `findingsOf` reads no other. */
function factsOf(filename: string): Facts {
  const kind = mediaTypeOf(filename)?.kind ?? 'caption';
  if (kind === 'image') return { kind, format: '', width: 0, height: 0 };
  return kind === 'video' ? { kind, format: '' } : { kind, characters: 0 };
}
