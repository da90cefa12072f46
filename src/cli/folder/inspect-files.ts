import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { availableParallelism } from 'node:os';
import { pipeline } from 'node:stream/promises';
import type { DatasetFile } from '../../dataset/dataset.js';
import { type Findings, findingsOf } from '../../dataset/findings.js';
import type { Facts, Inspection } from '../../dataset/inspect/inspection.js';
import { mediaTypeOf } from '../../dataset/media.js';
import type { Warning } from '../../dataset/problems.js';
import { InspectionPool } from '../../service/inspection/inspection-pool.js';
import { shown } from '../terminal/terminal.js';
import type { LocalFile, Notice } from './read-folder.js';

/** A file whose bytes were looked at. */
export interface InspectedFile {
  readonly file: LocalFile;
  readonly inspection: Inspection;
}

export interface FolderInspection {
  readonly examined: readonly InspectedFile[];
  /** What the system would not let us read. */
  readonly unreadable: readonly Notice[];
}

/** As long as these are the same, the bytes are taken to be. */
type State = Pick<LocalFile, 'sizeBytes' | 'modifiedMs'>;

/** Looks at files as the service does, one per core at a time; what has not changed since is not looked at again. */
export class FileInspector {
  readonly #known = new Map<string, State & { inspection: Inspection }>();
  readonly #hashes = new Map<string, State & { sha256: string }>();

  /** @throws the signal's reason */
  async examine(
    files: readonly LocalFile[],
    { signal, onExamined }: { signal: AbortSignal; onExamined?: (files: number) => void },
  ): Promise<FolderInspection> {
    const examined: InspectedFile[] = [];
    const unreadable: Notice[] = [];
    const queue = files.values();
    // Its threads, with the decoders that they hold, are not wanted any more while files are sent.
    const pool = new InspectionPool();
    const worker = async () => {
      for (const file of queue) {
        try {
          examined.push({ file, inspection: await this.#inspect(file, { pool, signal }) });
        } catch (error) {
          signal.throwIfAborted();
          unreadable.push(unreadableNotice(file.filename, error));
        }
        onExamined?.(examined.length + unreadable.length);
      }
    };
    await Promise.all(Array.from({ length: availableParallelism() + 1 }, worker)).finally(() => pool.close());
    return { examined: examined.sort((a, b) => (a.file.filename < b.file.filename ? -1 : 1)), unreadable };
  }

  async #inspect(
    { path, filename, sizeBytes, modifiedMs }: LocalFile,
    { pool, signal }: { pool: InspectionPool; signal: AbortSignal },
  ): Promise<Inspection> {
    const known = this.#known.get(path);
    if (known?.sizeBytes === sizeBytes && known.modifiedMs === modifiedMs) return known.inspection;
    const inspection = await pool.inspect({ path, filename, sizeBytes }, signal);
    this.#known.set(path, { sizeBytes, modifiedMs, inspection });
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

export function unreadableNotice(filename: string, error: unknown): Notice {
  const reason = error instanceof Error ? error.message : String(error);
  return { code: 'UNREADABLE', filename, message: `${shown(filename)} can't be read: ${reason}.` };
}

/**
 * Everything that would be wrong with a dataset of these files, in the service's own words.
 *
 * @param others files of which only the names count: they are in the dataset already, or are made up
 */
export function findingsIn(examined: readonly InspectedFile[], others: readonly string[] = []): Findings {
  const files = [
    ...examined.map(({ file, inspection }) => datasetFile(file.filename, uploadOf(file, inspection))),
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

/** Findings ask for no more of a file than its kind. */
function factsOf(filename: string): Facts {
  const kind = mediaTypeOf(filename)?.kind ?? 'caption';
  if (kind === 'image') return { kind, format: '', width: 0, height: 0 };
  return kind === 'video' ? { kind, format: '' } : { kind, characters: 0 };
}
