import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Config } from '../../config.js';
import { addSettings, configFrom } from '../settings.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { print, printJson } from '../terminal/print.js';
import { counted, printable } from '../terminal/text.js';
import { copiedDocument, copiedText, lostDocument, lostLines, withTransferProgress } from '../transfer-report.js';

type Options = Record<string, string> & { json?: true };

const BACKUP_HELP = `
Also while the service runs, of one moment. Every file is read once and checked against its SHA-256. Run again with the same
DIR, only what is new is copied, and what was removed since is removed there too; broken off, the last complete backup stays.
DIR holds what the data folder does, digests of tokens and the key of upload links included: it is made for you alone to read.

Examples:
  $ trainyard backup /mnt/nas/trainyard
  $ trainyard backup /mnt/nas/trainyard --data /srv/trainyard --json

Ends with 65 where files in the data folder are damaged or missing. All others are in the backup then.`;

const RESTORE_HELP = `
Every file is checked against its SHA-256, and the catalog comes last: what is there when it ends with 0 is whole. Broken off,
the same command goes on. FOLDER is a new or empty folder; serve it with "trainyard serve --data FOLDER".

Examples:
  $ trainyard restore /mnt/nas/trainyard --data /srv/trainyard
  $ trainyard restore /mnt/nas/trainyard --data ./data --skip-damaged

Ends with 65, and a list, where files of the backup are damaged or missing; the folder can't be served then. With
--skip-damaged it can: those files are marked as refused, and their datasets are FAILED until they are uploaded again.`;

/** `trainyard backup` and `trainyard restore`: of a data folder on one machine. */
export function addBackupCommands(program: Command): void {
  const backup = program
    .command('backup')
    .description('Copy the data folder into another folder, also while it is being served.')
    .argument('<dir>', 'new, empty, or with an earlier backup of the same data')
    .option('--json', 'print JSON for scripts')
    .addHelpText('after', BACKUP_HELP)
    .action(backUpTo);
  const restore = program
    .command('restore')
    .description('Make a data folder of a backup.')
    .argument('<dir>', 'the backup')
    .option('--skip-damaged', 'go on without files that are damaged or missing in the backup')
    .option('--json', 'print JSON for scripts')
    .addHelpText('after', RESTORE_HELP)
    .action(restoreFrom);
  addSettings(backup, ['data']);
  addSettings(restore, ['data']);
}

async function backUpTo(dir: string, { json, ...options }: Options): Promise<void> {
  const { dataFolder } = inFolder(configFrom(options), 'backup');
  const folder = resolve(dir);
  const backedUp = await withTransferProgress({ json: json as true }, async ({ signal, onProgress, display }) => {
    // Loaded here, so that no other command waits for the code of a database.
    const { backUp } = await import('../../service/transfer/backup.js');
    const onRound = () => display.note('Files were removed meanwhile: once more, with a newer catalog …');
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
  const removed = removedFiles === 0 ? '' : `; ${counted(removedFiles, 'file')} removed there`;
  print(`backed up ${printable(dataFolder)} in ${printable(folder)}: ${copiedText(backedUp)}${removed}`);
  if (lost.length === 0) return;
  const advice = 'These are not in the backup. Upload them again, or delete them from their datasets:';
  process.stderr.write(`${[advice, ...lostLines(lost)].join('\n')}\n`);
}

async function restoreFrom(dir: string, options: Options & { skipDamaged?: true }): Promise<void> {
  const { json, skipDamaged, ...settings } = options;
  const config = inFolder(configFrom(settings), 'restore');
  const { dataFolder, spoolFolder, spoolBytes } = config;
  const placeOf = (folder: string) => ({
    dataFolder: folder,
    databaseUrl: undefined,
    blobs: { kind: 'disk' } as const,
  });
  const restored = await withTransferProgress({ json: json as true }, async ({ signal, onProgress }) => {
    const { migrate } = await import('../../service/transfer/migrate.js');
    const skipsLost = skipDamaged === true;
    return migrate(placeOf(resolve(dir)), placeOf(dataFolder), {
      ...{ spoolFolder, spoolBytes, skipsLost },
      ...{ signal, onProgress },
    });
  });
  const { lost } = restored;
  if (json) {
    const document = { backup: resolve(dir), data_folder: dataFolder, ...copiedDocument(restored) };
    printJson({ ...document, lost: lost.map(lostDocument) });
    return;
  }
  print(`restored ${printable(resolve(dir))} in ${printable(dataFolder)}: ${copiedText(restored)}`);
  if (lost.length === 0) return;
  const advice = 'These are left out, and their datasets are FAILED until you upload them again, or delete them:';
  process.stderr.write(`${[advice, ...lostLines(lost)].join('\n')}\n`);
}

/** @throws CommandError with 78 where the environment says that not all is in the folder */
function inFolder(config: Config, command: string): Config {
  const { databaseUrl, blobs } = config;
  const other = [
    ...(databaseUrl === undefined ? [] : ['DATABASE_URL']),
    ...(blobs.kind === 'disk' ? [] : ['BLOBS_URL']),
  ];
  if (other.length === 0) return config;
  throw new CommandError(
    EXIT.configError,
    `"${command}" is for what is all in one folder, and ${other.join(' and ')} is set. "trainyard migrate-data" copies between any places.`,
  );
}
