import type { CopyProgress, LostBlob } from '../service/transfer/copy-blobs.js';
import { TransferError, type TransferErrorCode } from '../service/transfer/installation.js';
import { firstLines } from './folder/report.js';
import { CommandError, EXIT, interruptible } from './terminal/exit-codes.js';
import { openProgressDisplay, type ProgressDisplay, transferLine } from './terminal/progress.js';
import { counted, formatBytes, printable } from './terminal/text.js';

const EXIT_OF: Record<TransferErrorCode, number> = {
  not_found: EXIT.noInput,
  occupied: EXIT.cannotCreate,
  in_use: EXIT.temporaryFailure,
  same_place: EXIT.usage,
  changed: EXIT.temporaryFailure,
  lost: EXIT.dataError,
};

/** Runs a backup, restore or migration with its progress on standard error. Ctrl-C aborts its signal. @throws CommandError */
export async function withTransferProgress<T>(
  { json }: { json?: true },
  work: (tools: {
    signal: AbortSignal;
    onProgress: (progress: CopyProgress) => void;
    display: ProgressDisplay;
  }) => Promise<T>,
): Promise<T> {
  const display = openProgressDisplay({ isQuiet: json === true });
  const onProgress = (progress: CopyProgress) => display.update(() => [transferLine(progress)]);
  try {
    return await interruptible((signal) => work({ signal, onProgress, display }));
  } catch (error) {
    throw commandErrorOf(error);
  } finally {
    display.clear();
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

/** Lists the files whose bytes are lost. */
export function lostLines(lost: readonly LostBlob[]): string[] {
  const lines = lost.map(({ filename, datasetName, reason }) => {
    const fault = reason === 'missing' ? 'is missing' : 'is damaged: its SHA-256 differs from that of the upload';
    return `✗ ${printable(filename)} of "${printable(datasetName)}" ${fault}`;
  });
  return firstLines(lines, 'lost file');
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

/** `12 files, 3.4 MB (copied now: 2 files, 1.0 MB)` */
export function copiedText(copied: { files: number; bytes: number; copiedFiles: number; copiedBytes: number }): string {
  const { files, bytes, copiedFiles, copiedBytes } = copied;
  const all = `${counted(files, 'file')}, ${formatBytes(bytes)}`;
  return copiedFiles === files
    ? all
    : `${all} (copied now: ${counted(copiedFiles, 'file')}, ${formatBytes(copiedBytes)})`;
}

export function copiedDocument(copied: { files: number; bytes: number; copiedFiles: number; copiedBytes: number }) {
  const { files, bytes, copiedFiles, copiedBytes } = copied;
  return { files, bytes, copied_files: copiedFiles, copied_bytes: copiedBytes };
}
