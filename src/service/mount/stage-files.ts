import { mountedNameOf } from '../../dataset/media.js';
import type { MountPaths } from './mount-paths.js';
import type { CopyOptions, MountableDataset, MountFile, MountSource } from './mount-source.js';
import type { RecordedFile } from './mounted-folder.js';
import { type ReceiveFilesOptions, receiveFiles } from './receive/receive-files.js';
import { discardStaging, openStaging } from './staging-folder.js';

/** Files and bytes that are written and checked, or are being written. */
export interface MountProgress {
  readonly totalFiles: number;
  readonly doneFiles: number;
  readonly totalBytes: number;
  readonly doneBytes: number;
}

export interface StagingOptions
  extends Pick<CopyOptions, 'isHardLinked' | 'threads' | 'copiesOnMainThread' | 'signal'>,
    Pick<ReceiveFilesOptions, 'connections'> {
  readonly onProgress: ((progress: MountProgress) => void) | undefined;
}

const PROGRESS_INTERVAL_MS = 100;

/**
 * Fills the staging folder with exactly the files of a dataset, each checked against its size and SHA-256. Files that an earlier
 * attempt received over HTTP are kept if they match.
 *
 * @throws MountError; DatasetChanged; the signal's reason
 */
export async function stageFiles(
  paths: MountPaths,
  dataset: MountableDataset,
  source: MountSource,
  options: StagingOptions,
): Promise<{ files: RecordedFile[]; warnings: string[] }> {
  const { staging: folder } = paths;
  const totalFiles = dataset.files.length;
  const totalBytes = dataset.files.reduce((sum, file) => sum + file.sizeBytes, 0);
  // `[files, bytes]` in shared memory, so that other threads can count too.
  const done = new BigInt64Array(new SharedArrayBuffer(16));
  const reportProgress = () => {
    const [doneFiles, doneBytes] = [Number(Atomics.load(done, 0)), Number(Atomics.load(done, 1))];
    options.onProgress?.({ totalFiles, doneFiles, totalBytes, doneBytes });
  };
  const staged: RecordedFile[] = [];
  const onFile = (file: MountFile, mtimeMs: number) => void staged.push(recordedFile(file, mtimeMs));
  const timer = setInterval(reportProgress, PROGRESS_INTERVAL_MS);
  try {
    // Copies don't overwrite files.
    const kept = source.kind === 'data-folder' ? await discardStaging(paths) : [];
    const { started, warnings } = await openStaging(
      paths,
      dataset.files.map((file) => mountedNameOf(file.filename)),
    );
    if (source.kind === 'data-folder') {
      await source.copyInto(folder, dataset.files, { ...options, done, onFile });
    } else {
      await receiveFiles(folder, dataset.files, source, {
        ...options,
        started,
        nameOf: (file) => mountedNameOf(file.filename),
        onBytes: (bytes) => void Atomics.add(done, 1, BigInt(bytes)),
        onFile: (file, mtimeMs) => {
          Atomics.add(done, 0, 1n);
          onFile(file, mtimeMs);
        },
      });
    }
    reportProgress();
    return { files: staged, warnings: [...kept, ...warnings] };
  } finally {
    clearInterval(timer);
  }
}

function recordedFile({ filename, sha256, sizeBytes }: MountFile, mtimeMs: number): RecordedFile {
  return { filename, mounted_name: mountedNameOf(filename), sha256, size_bytes: sizeBytes, mtime_ms: mtimeMs };
}
