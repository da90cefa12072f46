import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import type { Command } from 'commander';
import type { Config } from '../../../config.js';
import { hasErrno, ServiceError } from '../../../dataset/errors.js';
import type { Copied, CopyProgress, TransferOptions } from '../../../service/transfer/copy.js';
import { type Installation, TransferError, type TransferErrorCode } from '../../../service/transfer/installation.js';
import { postgresUrl } from '../../../setting-values.js';
import { BackendUnusable, databaseFaultOf } from '../../../storage/backend-unusable.js';
import { parseS3Url } from '../../../storage/blobs/s3/location.js';
import { dataFolderPaths } from '../../../storage/data-folder.js';
import { firstLines } from '../../folder/report.js';
import { configFrom, onInstallation } from '../../settings.js';
import { CommandError, EXIT, interruptible } from '../../terminal/exit-codes.js';
import { type Output, print } from '../../terminal/print.js';
import { counted, errorMessage, formatBytes, printable } from '../../terminal/text.js';
import { openProgressDisplay, type ProgressDisplay, transferLine } from '../../terminal/progress.js';

const BACKUP_HELP = `
Backs up the state of one moment; the service may be running. Every file is checked against its SHA-256 when it is copied.
Run again with the same DIR, it copies only new files, and removes files that were deleted since. If it is interrupted, the
last complete backup stays. DIR includes the digests of tokens and the key of upload links; only you can read it.

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
--skip-damaged it can: these files are marked as lost, and their datasets are FAILED until you upload or delete them. Those
that the backup did not have in the first place are marked already.`;

const MIGRATE_HELP = `
A LOCATION is a data folder, postgres://… for the catalog, or s3://… for the files; a folder holds the part that has no URL. Stop
every instance on both sides first. Every file is read once and checked against its SHA-256. The catalog is copied last, in one
transaction, so if it is interrupted, the same command continues. The source is not changed, except a catalog that is named on
both sides: it is updated with the new location of the files. PGPASSWORD keeps a password out of the command line.

Examples:
  $ trainyard migrate-data --from ./data --to postgres://ty@db/trainyard "s3://lora/ty?endpoint=https://ceph:7480"
  $ trainyard migrate-data --from ./data --to ./data s3://lora      the catalog stays, the files move
  $ trainyard migrate-data --from ./data --to ./data postgres://db/trainyard     the catalog moves, the files stay
  $ trainyard migrate-data --from postgres://db/trainyard s3://lora --to ./data

Exit codes: 65 files are damaged or missing, and are listed; 73 the target has another catalog or other files; 75 an instance is running.`;

/** `trainyard backup|restore|migrate-data` */
export function addTransferCommands(program: Command): void {
  const backup = program
    .command('backup')
    .description('Copy the data folder into another folder; the service may be running.')
    .argument('<dir>', 'a folder that is new, empty, or an earlier backup of the same data');
  onInstallation(backup, { settings: ['data'], help: BACKUP_HELP }, backUpTo);
  const restore = program
    .command('restore')
    .description('Restore a backup into a data folder.')
    .argument('<dir>', 'the backup')
    .option('--skip-damaged', 'restore without the files that are damaged or missing in the backup');
  onInstallation(restore, { settings: ['data'], help: RESTORE_HELP }, restoreFrom);
  const migrateData = program
    .command('migrate-data')
    .description('Copy the catalog and the files to another installation, while no instance runs.')
    .requiredOption('--from <location...>', 'data folder, postgres://…, s3://…')
    .requiredOption('--to <location...>', 'like --from');
  onInstallation(migrateData, { settings: ['spool'], help: MIGRATE_HELP }, migrateBetween);
}

type FolderInstallation = Installation & { readonly dataFolder: string };

function backUpTo(config: Config, { json }: { json?: true }, dir: string): Promise<Output> {
  const options = { isBackup: true, skipsLost: true, isQuiet: json === true, spoolFolder: config.spoolFolder };
  return copyFolder(folderOnly(config, 'backup'), inFolder(resolve(dir)), options);
}

async function restoreFrom(config: Config, { json, skipDamaged }: { json?: true; skipDamaged?: true }, dir: string) {
  const { spoolFolder } = config;
  const options = { isBackup: false, skipsLost: skipDamaged === true, isQuiet: json === true, spoolFolder };
  const [backup, folder] = [inFolder(resolve(dir)), folderOnly(config, 'restore')];
  const { catalog, blobs } = dataFolderPaths(backup.dataFolder);
  const lacking = [catalog, blobs].find((path) => !existsSync(path));
  if (lacking !== undefined) {
    const message = `${printable(backup.dataFolder)} is no backup: it has no ${basename(lacking)}. Name the folder that "trainyard backup" has written.`;
    throw new CommandError(EXIT.noInput, message, { details: { reason: 'NOT_FOUND' } });
  }
  return copyFolder(backup, folder, options);
}

async function copyFolder(from: FolderInstallation, to: FolderInstallation, options: CopyOptions): Promise<Output> {
  const { isBackup, isQuiet } = options;
  const copied = await copyShown(from, to, options);
  const { lost, removedFiles } = copied;
  const advice = isBackup
    ? 'These files are not in the backup. Upload them again, or delete them from their datasets:'
    : 'These files are left out. Their datasets are FAILED until you upload the files again or delete them:';
  if (lost.length > 0 && !isQuiet) print([advice, ...lostLines(lost)].join('\n'), process.stderr);
  if (lost.length > 0 && isBackup) process.exitCode = EXIT.dataError;
  const [backup, folder] = isBackup ? [to, from] : [from, to];
  const [source, target] = [from, to].map(({ dataFolder }) => printable(dataFolder));
  const removed = removedFiles === 0 ? '' : `; removed ${counted(removedFiles, 'deleted file')}`;
  return {
    document: {
      ...{ backup: backup.dataFolder, data_folder: folder.dataFolder },
      ...(isBackup && { removed_files: removedFiles }),
      ...{ ...copiedDocument(copied), lost: lost.map(lostDocument) },
    },
    lines: [`${isBackup ? 'backed up' : 'restored'} ${source} to ${target}: ${copiedText(copied)}${removed}`],
  };
}

function inFolder(dataFolder: string): FolderInstallation {
  return { dataFolder, databaseUrl: undefined, blobs: { kind: 'disk' } };
}

/** @throws CommandError with 78 if the environment sets a database or a bucket */
function folderOnly({ dataFolder, databaseUrl, blobs }: Config, command: string): FolderInstallation {
  const other = [
    ...(databaseUrl === undefined ? [] : ['DATABASE_URL']),
    ...(blobs.kind === 'disk' ? [] : ['BLOBS_URL']),
  ];
  if (other.length === 0) return inFolder(dataFolder);
  throw new CommandError(
    EXIT.configError,
    `"${command}" works on a data folder alone, and ${other.join(' and ')} is set. To copy between databases and buckets, run: trainyard migrate-data`,
  );
}

async function migrateBetween(
  _config: Config,
  { json, from, to, ...options }: { json?: true; from: readonly string[]; to: readonly string[]; spool?: string },
): Promise<Output> {
  const [source, target] = [installationOf('--from', from), installationOf('--to', to)];
  const { discard, spoolFolder } = await spoolOf(options, target.dataFolder ?? source.dataFolder);
  const copying = { isBackup: false, skipsLost: false, isQuiet: json === true, spoolFolder };
  const migrated = await copyShown(source, target, copying).finally(discard);
  const line = `migrated ${copiedText(migrated)}. Serve the new installation; once it works, you can delete ${replacedOf(migrated)}.`;
  return { document: copiedDocument(migrated), lines: [line] };
}

type CopyOptions = Pick<TransferOptions, 'isBackup' | 'skipsLost' | 'spoolFolder'> & { readonly isQuiet: boolean };

async function copyShown(from: Installation, to: Installation, { isQuiet, ...options }: CopyOptions): Promise<Copied> {
  const isFolderOnly = to.databaseUrl === undefined && to.blobs.kind === 'disk';
  const shown = { isQuiet, to: isFolderOnly ? to.dataFolder : undefined };
  return withTransferProgress(shown, async ({ signal, display }) => {
    // Imported late, so that other commands start without loading the database code.
    const { copy } = await import('../../../service/transfer/copy.js');
    const onProgress = (progress: CopyProgress) => display.update(() => [transferLine(progress)]);
    const onWarning = (message: string) => display.note(`trainyard: ${printable(message)}`);
    return copy(from, to, { ...options, signal, onProgress, onWarning });
  });
}

function replacedOf({ shared }: Copied): string {
  if (shared.catalog) return 'the old files, but not the catalog, which stays';
  if (shared.store) return 'the old catalog, but not the files, which stay';
  return 'the old one';
}

/** @throws CommandError with 64; its message contains no password */
function installationOf(option: string, texts: readonly string[]): Installation {
  const fail = (fault: string): never => {
    throw new CommandError(EXIT.usage, `${option} ${fault}`);
  };
  const parsed = <T>(text: string, parse: (text: string) => T): T => {
    try {
      return parse(text);
    } catch (error) {
      return fail(`has a URL that ${errorMessage(error)}`);
    }
  };
  const kindOf = (text: string) =>
    /^postgres(ql)?:/.test(text) ? 'database' : text.startsWith('s3:') ? 'bucket' : 'folder';
  const [database, bucket, folder] = (['database', 'bucket', 'folder'] as const).map((kind) => {
    const found = texts.filter((text) => kindOf(text) === kind);
    return found.length > 1 ? fail(`names more than one ${kind}`) : found[0];
  });
  if (folder !== undefined && /^[a-z0-9+]+:\/\//i.test(folder)) fail('takes folders, postgres://… and s3://…');
  if (folder === undefined && database === undefined) fail('has no location for the catalog: a folder or postgres://…');
  if (folder === undefined && bucket === undefined) fail('has no location for the files: a folder or s3://…');
  if (folder !== undefined && database !== undefined && bucket !== undefined) {
    fail('has a folder too many: the catalog and the files have URLs');
  }
  return {
    dataFolder: folder === undefined ? undefined : resolve(folder),
    databaseUrl: database === undefined ? undefined : parsed(database, postgresUrl),
    blobs: bucket === undefined ? { kind: 'disk' } : parsed(bucket, parseS3Url),
  };
}

/** The spool folder of the data folder or of `--spool`; without either, a temporary folder. */
async function spoolOf(options: { spool?: string }, folder: string | undefined) {
  const { spoolFolder } = configFrom({ ...options, ...(folder !== undefined && { data: folder }) });
  const isChosen = options.spool !== undefined || process.env.TRAINYARD_SPOOL;
  if (folder !== undefined || isChosen) return { spoolFolder, discard: async () => {} };
  const temporary = await mkdtemp(join(tmpdir(), 'trainyard-'));
  return { spoolFolder: temporary, discard: () => rm(temporary, { recursive: true, force: true }) };
}

/** `12 files, 3.4 MB (copied now: 2 files, 1.0 MB)` */
function copiedText({ files, bytes, copiedFiles, copiedBytes }: Copied): string {
  const all = `${counted(files, 'file')}, ${formatBytes(bytes)}`;
  return copiedFiles === files
    ? all
    : `${all} (copied now: ${counted(copiedFiles, 'file')}, ${formatBytes(copiedBytes)})`;
}

function copiedDocument({ files, bytes, copiedFiles, copiedBytes }: Copied) {
  return { files, bytes, copied_files: copiedFiles, copied_bytes: copiedBytes };
}

const EXIT_OF: Record<TransferErrorCode, number> = {
  not_found: EXIT.noInput,
  occupied: EXIT.cannotCreate,
  in_use: EXIT.temporaryFailure,
  same_place: EXIT.usage,
  changed: EXIT.temporaryFailure,
  lost: EXIT.dataError,
};

/** Runs a backup, restore or migration with its progress on standard error. @throws CommandError */
export async function withTransferProgress<T>(
  options: { isQuiet: boolean; to?: string | undefined },
  work: (tools: { signal: AbortSignal; display: ProgressDisplay }) => Promise<T>,
): Promise<T> {
  const display = openProgressDisplay(options);
  try {
    return await interruptible((signal) => work({ signal, display }));
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
  const cause = error instanceof BackendUnusable ? error.cause : error;
  return databaseFaultOf(cause) === 'full' || hasErrno(error, 'ENOSPC', 'EDQUOT');
}

function lostLines(lost: TransferError['lost']): string[] {
  const lines = lost.map(({ filename, datasetName, reason }) => {
    const fault = reason === 'missing' ? 'is missing' : 'is damaged: its SHA-256 differs from that of the upload';
    return `✗ ${printable(filename)} of "${printable(datasetName)}" ${fault}`;
  });
  return firstLines(lines, 'lost file');
}

function lostDocument({ datasetId, datasetName, filename, sizeBytes, sha256, reason }: TransferError['lost'][number]) {
  return {
    dataset_id: datasetId,
    dataset: datasetName,
    filename,
    size_bytes: sizeBytes,
    sha256,
    reason: reason.toUpperCase(),
  };
}
