import { hasErrno, ServiceError } from '../../../dataset/errors.js';
import type { CopyProgress, LostBlob } from '../../../service/transfer/copy-blobs.js';
import { TransferError, type TransferErrorCode } from '../../../service/transfer/installation.js';
import { BackendUnusable, isDatabaseFull } from '../../../storage/backend-unusable.js';
import { firstLines } from '../../folder/report.js';
import { CommandError, EXIT, interruptible } from '../../terminal/exit-codes.js';
import { print } from '../../terminal/print.js';
import { openProgressDisplay, type ProgressDisplay, transferLine } from '../../terminal/progress.js';
import { printable } from '../../terminal/text.js';

const EXIT_OF: Record<TransferErrorCode, number> = {
  not_found: EXIT.noInput,
  occupied: EXIT.cannotCreate,
  in_use: EXIT.temporaryFailure,
  same_place: EXIT.usage,
  changed: EXIT.temporaryFailure,
  lost: EXIT.dataError,
};

/**
 * Runs a backup, restore or migration with its progress on standard error. Ctrl-C aborts its signal.
 *
 * @param options.to the folder that it fills, if it fills no other place
 * @throws CommandError
 */
export async function withTransferProgress<T>(
  options: { isQuiet: boolean; to?: string | undefined },
  work: (tools: {
    signal: AbortSignal;
    onProgress: (progress: CopyProgress) => void;
    onWarning: (message: string) => void;
    display: ProgressDisplay;
  }) => Promise<T>,
): Promise<T> {
  const display = openProgressDisplay(options);
  const onProgress = (progress: CopyProgress) => display.update(() => [transferLine(progress)]);
  const onWarning = (message: string) => display.note(`trainyard: ${printable(message)}`);
  try {
    return await interruptible((signal) => work({ signal, onProgress, onWarning, display }));
  } catch (error) {
    if (options.to !== undefined && isOfFullDisk(error)) {
      const message = `the disk of ${printable(options.to)} is full. Free some space, and run the same command again to go on.`;
      throw new CommandError(EXIT.ioError, message, { cause: error });
    }
    if (!(error instanceof TransferError)) throw error;
    const { code, message, lost } = error;
    const details = { reason: code.toUpperCase(), ...(lost.length > 0 && { lost: lost.map(lostDocument) }) };
    throw new CommandError(EXIT_OF[code], [message, ...lostLines(lost)].join('\n'), { cause: error, details });
  } finally {
    display.clear();
  }
}

function isOfFullDisk(error: unknown): boolean {
  if (error instanceof ServiceError) return error.code === 'no_space';
  if (error instanceof BackendUnusable) return isDatabaseFull(error.cause);
  return isDatabaseFull(error) || hasErrno(error, 'ENOSPC', 'EDQUOT');
}

function lostLines(lost: readonly LostBlob[]): string[] {
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

/** Lists files without undamaged bytes on standard error, after advice on what to do. */
export function warnOfLost(lost: readonly LostBlob[], advice: string): void {
  if (lost.length > 0) print([advice, ...lostLines(lost)].join('\n'), process.stderr);
}
