import type { LinkSlot } from '../../../dataset/dataset.js';
import type { MountPaths } from '../mount-paths.js';
import type { CopyOptions, MountFile, MountSource } from '../mount-source.js';
import type { RecordedFile } from '../mounted-folder.js';
import { type ReceiveFilesOptions, receiveFiles } from '../receive/receive-files.js';
import { discardStaging, openStaging } from './staging-folder.js';

/** Files and bytes that are written and checked, or are being written. */
export interface MountProgress {
  /** Of the folder. */
  readonly name: string;
  readonly totalFiles: number;
  readonly doneFiles: number;
  readonly totalBytes: number;
  readonly doneBytes: number;
}

/** Files of one dataset in a folder. */
export interface FolderPart {
  readonly source: MountSource;
  readonly files: readonly MountFile[];
  /** The name of a file in the folder. */
  readonly nameOf: (file: MountFile) => string;
  /** `undefined` for the dataset that the folder is named after. */
  readonly slot: LinkSlot | undefined;
}

export interface StagingOptions
  extends Pick<CopyOptions, 'isHardLinked' | 'threads' | 'copiesOnMainThread' | 'signal'>,
    Pick<ReceiveFilesOptions, 'connections'> {
  readonly onProgress: ((progress: MountProgress) => void) | undefined;
}

const PROGRESS_INTERVAL_MS = 100;

/**
 * Fills the staging folder with exactly these files, each checked against its size and SHA-256. Files that an earlier attempt
 * received over HTTP are kept if they match.
 *
 * @throws MountError; DatasetChanged; the signal's reason
 */
export async function stageFiles(
  paths: MountPaths,
  parts: readonly FolderPart[],
  options: StagingOptions,
): Promise<{ files: RecordedFile[]; warnings: string[] }> {
  const all = parts.flatMap(({ files }) => files);
  const totalFiles = all.length;
  const totalBytes = all.reduce((sum, file) => sum + file.sizeBytes, 0);
  // `[files, bytes]` in shared memory, so that other threads can count too.
  const done = new BigInt64Array(new SharedArrayBuffer(16));
  const reportProgress = () => {
    const [doneFiles, doneBytes] = [Number(Atomics.load(done, 0)), Number(Atomics.load(done, 1))];
    options.onProgress?.({ name: paths.name, totalFiles, doneFiles, totalBytes, doneBytes });
  };
  const timer = setInterval(reportProgress, PROGRESS_INTERVAL_MS);
  try {
    // Copies don't overwrite files.
    const kept = parts.some(({ source }) => source.kind === 'data-folder') ? await discardStaging(paths) : [];
    const { started, warnings } = await openStaging(
      paths,
      parts.flatMap(({ files, nameOf }) => files.map(nameOf)),
    );
    const staged: RecordedFile[] = [];
    for (const part of parts) await stagePart(paths.staging, part, { ...options, started, done, staged });
    reportProgress();
    return { files: staged, warnings: [...kept, ...warnings] };
  } finally {
    clearInterval(timer);
  }
}

async function stagePart(
  folder: string,
  { source, files, nameOf, slot }: FolderPart,
  options: StagingOptions &
    Pick<ReceiveFilesOptions, 'started'> &
    Pick<CopyOptions, 'done'> & { staged: RecordedFile[] },
): Promise<void> {
  const { done, staged } = options;
  const onFile = (file: MountFile, mtimeMs: number) => {
    const { filename, sha256, sizeBytes } = file;
    const of = slot !== undefined && { of: slot };
    staged.push({ filename, ...of, mounted_name: nameOf(file), sha256, size_bytes: sizeBytes, mtime_ms: mtimeMs });
  };
  if (source.kind === 'data-folder') return source.copyInto(folder, files, { ...options, nameOf, onFile });
  await receiveFiles(folder, files, source, {
    ...options,
    nameOf,
    onBytes: (bytes) => void Atomics.add(done, 1, BigInt(bytes)),
    onFile: (file, mtimeMs) => {
      Atomics.add(done, 0, 1n);
      onFile(file, mtimeMs);
    },
  });
}
