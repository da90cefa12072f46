import type { CopyProgress, LostBlob } from '../service/transfer/copy-blobs.js';
import { TransferError, type TransferErrorCode } from '../service/transfer/installation.js';
import { few } from './folder/report.js';
import { CommandError, EXIT } from './terminal/exit-codes.js';
import { bar, openProgressDisplay, type ProgressDisplay } from './terminal/progress.js';
import { counted, formatBytes, interruptible, shown } from './terminal/terminal.js';

const EXIT_OF: Record<TransferErrorCode, number> = {
  not_found: EXIT.noInput,
  occupied: EXIT.cannotCreate,
  in_use: EXIT.temporaryFailure,
  same_place: EXIT.usage,
  changed: EXIT.temporaryFailure,
  lost: EXIT.dataError,
};

/**
 * Runs what moves catalog and bytes, with its progress on standard error and a signal that ctrl-C fires.
 *
 * @throws CommandError
 */
export async function withTransferProgress<T>(
  { json }: { json?: true },
  work: (tools: {
    signal: AbortSignal;
    onProgress: (progress: CopyProgress) => void;
    ticker: ProgressDisplay;
  }) => Promise<T>,
): Promise<T> {
  const ticker = openProgressDisplay({ isQuiet: json === true });
  const onProgress = (progress: CopyProgress) => ticker.update(() => [progressLine(progress)]);
  try {
    return await interruptible((signal) => work({ signal, onProgress, ticker }));
  } catch (error) {
    throw commandErrorOf(error);
  } finally {
    ticker.clear();
  }
}

function commandErrorOf(error: unknown): unknown {
  if (!(error instanceof TransferError)) return error;
  const lines = [error.message, ...lostLines(error.lost)];
  const details = {
    reason: error.code.toUpperCase(),
    ...(error.lost.length > 0 && { lost: error.lost.map(lostDocument) }),
  };
  return new CommandError(EXIT_OF[error.code], lines.join('\n'), { cause: error, details });
}

function progressLine({ totalFiles, totalBytes, doneFiles, doneBytes }: CopyProgress): string {
  const bytes = `${formatBytes(doneBytes)} of ${formatBytes(totalBytes)}`;
  return `${bar(doneBytes, totalBytes)}  ${bytes}, ${doneFiles.toLocaleString('en')} of ${counted(totalFiles, 'file')}`;
}

/** One for each file whose bytes are lost, and what can be done. */
export function lostLines(lost: readonly LostBlob[]): string[] {
  const lines = lost.map(({ filename, datasetName, reason }) => {
    const what = reason === 'missing' ? 'is missing' : 'is damaged: its SHA-256 is not that of what was uploaded';
    return `✗ ${shown(filename)} of "${shown(datasetName)}" ${what}`;
  });
  return few(lines, 'lost file');
}

export function lostDocument({ datasetId, datasetName, filename, sizeBytes, sha256, reason }: LostBlob) {
  return {
    dataset_id: datasetId,
    dataset: datasetName,
    filename,
    size_bytes: sizeBytes,
    sha256,
    reason: reason.toUpperCase(),
  };
}

/** `12 files, 3.4 MB, of which 2 files, 1.0 MB, were new` */
export function copiedText(copied: { files: number; bytes: number; copiedFiles: number; copiedBytes: number }): string {
  const { files, bytes, copiedFiles, copiedBytes } = copied;
  const all = `${counted(files, 'file')}, ${formatBytes(bytes)}`;
  return copiedFiles === files
    ? all
    : `${all}, of which ${counted(copiedFiles, 'file')}, ${formatBytes(copiedBytes)}, copied now`;
}

export function copiedDocument(copied: { files: number; bytes: number; copiedFiles: number; copiedBytes: number }) {
  const { files, bytes, copiedFiles, copiedBytes } = copied;
  return { files, bytes, copied_files: copiedFiles, copied_bytes: copiedBytes };
}
