import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Config } from '../../../config.js';
import { addSettings, configFrom } from '../../settings.js';
import { CommandError, EXIT } from '../../terminal/exit-codes.js';
import { print, printJson } from '../../terminal/print.js';
import { counted, printable } from '../../terminal/text.js';
import { copiedDocument, copiedText, lostDocument, warnOfLost, withTransferProgress } from '../../transfer-report.js';

type Options = Record<string, string> & { json?: true };

const BACKUP_HELP = `
Backs up the state of one moment; the service may be running. Every file is read once and checked against its SHA-256. Run
again with the same DIR, it copies only new files, and removes files that were deleted since. If it is interrupted, the last
complete backup stays. DIR includes the digests of tokens and the key of upload links; only you can read it.

Examples:
  $ trainyard backup /mnt/nas/trainyard
  $ trainyard backup /mnt/nas/trainyard --data /srv/trainyard --json

The exit code is 65 if files of the data folder are damaged or missing. The backup then has all other files.`;

const RESTORE_HELP = `
Every file is checked against its SHA-256. The catalog is copied last, so that only a complete folder can be served. If it is
interrupted, the same command continues. FOLDER must be new or empty; serve it with "trainyard serve --data FOLDER".

Examples:
  $ trainyard restore /mnt/nas/trainyard --data /srv/trainyard
  $ trainyard restore /mnt/nas/trainyard --data ./data --skip-damaged

If files of the backup are damaged or missing, it lists them and exits with 65, and the folder can't be served. With
--skip-damaged it can: these files are marked as lost, and their datasets are FAILED until you upload or delete them.`;

/** `trainyard backup` and `trainyard restore`, for an installation in one data folder. */
export function addBackupCommands(program: Command): void {
  const backup = program
    .command('backup')
    .description('Copy the data folder into another folder; the service may be running.')
    .argument('<dir>', 'a folder that is new, empty, or an earlier backup of the same data')
    .option('--json', 'print JSON for scripts')
    .addHelpText('after', BACKUP_HELP)
    .action(backUpTo);
  const restore = program
    .command('restore')
    .description('Restore a backup into a data folder.')
    .argument('<dir>', 'the backup')
    .option('--skip-damaged', 'restore without the files that are damaged or missing in the backup')
    .option('--json', 'print JSON for scripts')
    .addHelpText('after', RESTORE_HELP)
    .action(restoreFrom);
  addSettings(backup, ['data']);
  addSettings(restore, ['data']);
}

async function backUpTo(dir: string, { json, ...options }: Options): Promise<void> {
  const { dataFolder } = requireFolderOnly(configFrom(options), 'backup');
  const folder = resolve(dir);
  const shown = { isQuiet: json === true, to: folder };
  const backedUp = await withTransferProgress(shown, async ({ signal, onProgress, display }) => {
    // Imported late, so that other commands start without loading the database code.
    const { backUp } = await import('../../../service/transfer/backup.js');
    const onRound = () => display.note('Files were removed meanwhile. Starting again with a newer catalog …');
    const onWarning = (message: string) => display.note(`trainyard: ${printable(message)}`);
    return backUp(dataFolder, folder, { signal, onProgress, onRound, onWarning });
  });
  const { lost, removedFiles } = backedUp;
  if (lost.length > 0) process.exitCode = EXIT.dataError;
  if (json) {
    const document = { backup: folder, data_folder: dataFolder, ...copiedDocument(backedUp) };
    printJson({ ...document, removed_files: removedFiles, lost: lost.map(lostDocument) });
    return;
  }
  const removed = removedFiles === 0 ? '' : `; removed ${counted(removedFiles, 'deleted file')}`;
  print(`backed up ${printable(dataFolder)} to ${printable(folder)}: ${copiedText(backedUp)}${removed}`);
  warnOfLost(lost, 'These files are not in the backup. Upload them again, or delete them from their datasets:');
}

async function restoreFrom(dir: string, options: Options & { skipDamaged?: true }): Promise<void> {
  const { json, skipDamaged, ...settings } = options;
  const config = requireFolderOnly(configFrom(settings), 'restore');
  const { dataFolder, spoolFolder, spoolBytes } = config;
  const folderOnly = { databaseUrl: undefined, blobs: { kind: 'disk' } as const };
  const shown = { isQuiet: json === true, to: dataFolder };
  const restored = await withTransferProgress(shown, async ({ signal, onProgress }) => {
    const { migrate } = await import('../../../service/transfer/migrate.js');
    const from = { dataFolder: resolve(dir), ...folderOnly };
    const to = { dataFolder, ...folderOnly };
    return migrate(from, to, { spoolFolder, spoolBytes, skipsLost: skipDamaged === true, signal, onProgress });
  });
  const { lost } = restored;
  if (json) {
    const document = { backup: resolve(dir), data_folder: dataFolder, ...copiedDocument(restored) };
    printJson({ ...document, lost: lost.map(lostDocument) });
    return;
  }
  print(`restored ${printable(resolve(dir))} to ${printable(dataFolder)}: ${copiedText(restored)}`);
  const advice = 'These files are left out. Their datasets are FAILED until you upload the files again or delete them:';
  warnOfLost(lost, advice);
}

/** @throws CommandError with 78 if the environment sets a database or a bucket */
function requireFolderOnly(config: Config, command: string): Config {
  const { databaseUrl, blobs } = config;
  const other = [
    ...(databaseUrl === undefined ? [] : ['DATABASE_URL']),
    ...(blobs.kind === 'disk' ? [] : ['BLOBS_URL']),
  ];
  if (other.length === 0) return config;
  throw new CommandError(
    EXIT.configError,
    `"${command}" works on a data folder alone, and ${other.join(' and ')} is set. To copy between databases and buckets, run: trainyard migrate-data`,
  );
}
