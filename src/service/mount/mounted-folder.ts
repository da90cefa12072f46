import { createHash } from 'node:crypto';
import { lstat, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { LinkSlot } from '../../dataset/dataset.js';
import { hasErrno } from '../../dataset/errors.js';
import type { MediaChoice } from '../../dataset/train/training-dataset.js';
import { forEachConcurrent } from '../../for-each-concurrent.js';
import { bootId } from '../../storage/boot-id.js';
import { openRegularFile, readRegularFile, UnreadableFile } from '../../storage/regular-file.js';

/** The trainer skips names that begin with a dot (ai-toolkit `toolkit/data_loader.py:437-441`). */
export const RECORD_NAME = '.mount.json';

/** The name of the record while it is written, which a kill can leave behind. */
export const UNFINISHED_RECORD_NAME = `${RECORD_NAME}.new`;

export const RECORD_NAMES: readonly string[] = [RECORD_NAME, UNFINISHED_RECORD_NAME];

/** The record of 100,000 files takes about 30 MB. */
export const MAX_RECORD_BYTES = 128 * 1024 * 1024;

/**
 * Names of what trainers write into a dataset's folder: ai-toolkit and its page (line numbers in docs/mounting.md),
 * diffusion-pipe (`cache`), sd-scripts (`.npz`, `metadata_cache.json`) and SimpleTuner (docs/training.md).
 */
const TRAINER_FILES =
  /^(\.aitk_size\.json|_latent_cache|_t_e_cache|_clip_vision_cache|_controls|\.thumbs|cache|metadata_cache\.json|.+\.npz|aspect_ratio_bucket_(indices|metadata)_.+\.json)$/s;

/** Whether a name in a mounted folder is that of a trainer's cache, which is removed with the folder. */
export function isTrainerFile(name: string): boolean {
  return TRAINER_FILES.test(name);
}

const RECORD_FORMAT = 1;
const CONCURRENT_CHECKS = 16;

/** The content of `.mount.json`. */
export interface MountRecord {
  readonly format: typeof RECORD_FORMAT;
  /** The version of trainyard that mounted the folder; missing in a tar archive. */
  readonly trainyard?: string;
  readonly dataset_id: string;
  readonly name: string;
  /** Of all files of the dataset and its linked datasets, even if only one kind of media is mounted. */
  readonly digest: string;
  /** The one kind of media that is mounted, with its captions; missing if everything is. */
  readonly only?: MediaChoice;
  /** Missing unless the folder has the files of linked datasets, too. */
  readonly layout?: MountLayout;
  /**
   * The datasets that were mounted at the same moment, the training dataset first; missing for one without links that was
   * mounted by itself. A folder beside it with another digest is of another moment.
   */
  readonly mounted_with?: readonly RecordedDataset[];
  /** The service's URL, or the data folder; `tar` in a tar archive. */
  readonly source: string;
  /** Missing in a tar archive. */
  readonly mounted_at?: string;
  /** The `bootId` when the folder was written; `null` if it is not known, so that all bytes are read once. */
  readonly boot_id: string | null;
  readonly files: readonly RecordedFile[];
}

/** The trainers for which the files of linked datasets are mounted beside those of the target; else each has its folder. */
export const MOUNT_LAYOUTS = ['onetrainer'] as const;
export type MountLayout = (typeof MOUNT_LAYOUTS)[number];

/** A training dataset, or a control or mask that it is linked to. */
export interface RecordedDataset {
  readonly as: LinkSlot | 'target';
  readonly dataset_id: string;
  readonly name: string;
  readonly digest: string;
}

export interface RecordedFile {
  /** The name in the dataset. */
  readonly filename: string;
  /** The linked dataset that the file is of, in a folder with the files of several datasets. */
  readonly of?: LinkSlot;
  /** The name in the folder. */
  readonly mounted_name: string;
  readonly sha256: string;
  readonly size_bytes: number;
  readonly mtime_ms: number;
}

/** The state of the path where a dataset is mounted. An empty folder counts as absent. */
export type FolderState =
  | { readonly state: 'absent' }
  /** A file or folder that trainyard did not mount. */
  | { readonly state: 'foreign' }
  | {
      readonly state: 'mounted';
      readonly record: MountRecord;
      /** Mounted files that were changed or removed, by their names in the folder. */
      readonly changed: readonly string[];
      /** Files that neither the mount nor the trainer wrote; the trainer does not read the hidden ones. */
      readonly unexpected: readonly string[];
      readonly unexpectedHidden: readonly string[];
      /** Mounted files whose bytes were lost in a crash of the machine, because they were not flushed to the disk. */
      readonly halfWritten: readonly string[];
    };

/**
 * Compares a folder with its record. A file with the recorded size and modification time counts as unchanged, since reading
 * all files takes as long as mounting them. After a restart of the machine, which may have lost unflushed bytes, all files
 * are read once.
 */
export async function folderStateOf(folder: string): Promise<FolderState> {
  let names: string[];
  try {
    if (!(await lstat(folder)).isDirectory()) return { state: 'foreign' };
    names = await readdir(folder);
  } catch (error) {
    if (hasErrno(error, 'ENOENT')) return { state: 'absent' };
    throw error;
  }
  if (names.length === 0) return { state: 'absent' };
  const record = await readRecord(folder);
  if (record === undefined) return { state: 'foreign' };
  const boot = await bootId();
  const isSameBoot = record.boot_id === boot;
  const changed: string[] = [];
  const halfWritten: string[] = [];
  await forEachConcurrent(record.files, CONCURRENT_CHECKS, async (file) => {
    const condition = await conditionOf(join(folder, file.mounted_name), file, isSameBoot);
    if (condition === 'changed') changed.push(file.mounted_name);
    if (condition === 'half-written') halfWritten.push(file.mounted_name);
  });
  const mounted = new Set([RECORD_NAME, ...record.files.map((file) => file.mounted_name)]);
  const others = names.filter((name) => !mounted.has(name) && !isTrainerFile(name));
  if (!isSameBoot && changed.length + halfWritten.length === 0) await writeRecord(folder, { ...record, boot_id: boot });
  return {
    state: 'mounted',
    record,
    changed: changed.sort(),
    halfWritten,
    unexpected: others.filter((name) => !name.startsWith('.')),
    unexpectedHidden: others.filter((name) => name.startsWith('.')),
  };
}

async function conditionOf(
  path: string,
  file: RecordedFile,
  isSameBoot: boolean,
): Promise<'same' | 'changed' | 'half-written'> {
  const stats = await lstat(path).catch((error) => {
    if (hasErrno(error, 'ENOENT')) return undefined;
    throw error;
  });
  if (!stats?.isFile()) return 'changed';
  const isUntouched = stats.mtimeMs === file.mtime_ms;
  if (isUntouched && stats.size === file.size_bytes && isSameBoot) return 'same';
  if (stats.size === file.size_bytes && (await sha256Of(path)) === file.sha256) return 'same';
  // An edit changes the modification time; a crash of the machine does not.
  return isUntouched && !isSameBoot ? 'half-written' : 'changed';
}

/** What was done to a mounted folder by something that is neither a mount nor a trainer, for a person. */
export function foreignChangesIn(existing: FolderState & { state: 'mounted' }): string[] {
  const added = [...existing.unexpected, ...existing.unexpectedHidden];
  return [
    ...(existing.changed.length > 0 ? [`changed or removed: ${listOf(existing.changed)}`] : []),
    ...(added.length > 0 ? [`added: ${listOf(added)}`] : []),
  ];
}

function listOf(names: readonly string[]): string {
  const shown = names.slice(0, 3).map((name) => JSON.stringify(name));
  return names.length > shown.length ? `${shown.join(', ')} and ${names.length - shown.length} more` : shown.join(', ');
}

/** Reads the record of a folder; `undefined` if the folder has none of this format. */
export async function readRecord(folder: string): Promise<MountRecord | undefined> {
  const path = join(folder, RECORD_NAME);
  try {
    if (!(await lstat(path)).isFile()) return undefined;
    const record = JSON.parse(await readRegularFile(path, { maxBytes: MAX_RECORD_BYTES }));
    return isRecord(record) ? record : undefined;
  } catch (error) {
    const isUnreadable = error instanceof SyntaxError || error instanceof UnreadableFile;
    if (isUnreadable || hasErrno(error, 'ENOENT', 'ENOTDIR')) return undefined;
    throw error;
  }
}

/** A record can be written by anything that can write into the folder. Its names must not lead out of the folder. */
function isRecord(value: unknown): value is MountRecord {
  const record = (value ?? {}) as Partial<Record<keyof MountRecord, unknown>>;
  const texts = [record.dataset_id, record.name, record.digest, record.source];
  if (record.format !== RECORD_FORMAT || texts.some((text) => typeof text !== 'string')) return false;
  return Array.isArray(record.files) && record.files.every(isRecordedFile);
}

function isRecordedFile(value: unknown): value is RecordedFile {
  const file = (value ?? {}) as Partial<Record<keyof RecordedFile, unknown>>;
  const { mounted_name: name } = file;
  const isName = typeof name === 'string' && name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name);
  return isName && typeof file.sha256 === 'string' && [file.size_bytes, file.mtime_ms].every(Number.isFinite);
}

/** Writes the record durably and atomically. */
export async function writeRecord(folder: string, record: Omit<MountRecord, 'format'>): Promise<void> {
  await replaceFile(join(folder, RECORD_NAME), recordText(record));
}

/** The content of `.mount.json`. */
export function recordText(record: Omit<MountRecord, 'format'>): string {
  return `${JSON.stringify({ format: RECORD_FORMAT, ...record }, null, 1)}\n`;
}

/** Writes a file durably and atomically, through `PATH.new`. */
export async function replaceFile(path: string, text: string): Promise<void> {
  const temporary = `${path}.new`;
  // An existing one may be a link or a pipe.
  await rm(temporary, { force: true });
  await writeFile(temporary, text, { flag: 'wx', flush: true });
  await rename(temporary, path);
}

/** Lower-case hexadecimal. @throws UnreadableFile; the system's errors */
export async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256');
  const handle = await openRegularFile(path);
  await pipeline(handle.createReadStream({ highWaterMark: 1024 * 1024 }), hash);
  return hash.digest('hex');
}
