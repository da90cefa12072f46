import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import type { Installation } from '../../../service/transfer/installation.js';
import type { Migrated } from '../../../service/transfer/migrate.js';
import { postgresUrl } from '../../../setting-values.js';
import { parseS3Url } from '../../../storage/blobs/s3/location.js';
import { addSettings, configFrom } from '../../settings.js';
import { CommandError, EXIT } from '../../terminal/exit-codes.js';
import { print, printJson } from '../../terminal/print.js';
import { errorMessage, printable } from '../../terminal/text.js';
import { copiedDocument, copiedText, withTransferProgress } from '../../transfer-report.js';

type Options = Record<string, string> & { json?: true; from: readonly string[]; to: readonly string[] };

const HELP = `
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

/** `trainyard migrate-data` */
export function addMigrateDataCommand(program: Command): void {
  const command = program
    .command('migrate-data')
    .description('Copy the catalog and the files to another installation, while no instance runs.')
    .requiredOption('--from <location...>', 'data folder, postgres://…, s3://…')
    .requiredOption('--to <location...>', 'like --from')
    .option('--json', 'print JSON for scripts')
    .addHelpText('after', HELP)
    .action(migrateData);
  addSettings(command, ['spool', 'spoolBytes']);
}

async function migrateData({ json, from, to, ...options }: Options): Promise<void> {
  const ends = { from: installationOf('--from', from), to: installationOf('--to', to) };
  const { dataFolder, databaseUrl, blobs } = ends.to;
  const isFolderOnly = databaseUrl === undefined && blobs.kind === 'disk';
  const shown = { isQuiet: json === true, to: isFolderOnly ? dataFolder : undefined };
  const migrated = await withTransferProgress(shown, async ({ signal, onProgress, display }) => {
    const { migrate } = await import('../../../service/transfer/migrate.js');
    const spool = await spoolOf(options, ends);
    try {
      return await migrate(ends.from, ends.to, {
        ...spool,
        ...{ signal, onProgress, skipsLost: false },
        onWarning: (message) => display.note(`trainyard: ${printable(message)}`),
      });
    } finally {
      await spool.discard();
    }
  });
  if (json) printJson(copiedDocument(migrated));
  else
    print(
      `migrated ${copiedText(migrated)}. Serve the new installation; once it works, you can delete ${replacedOf(migrated)}.`,
    );
}

/** What is no longer needed after a migration. */
function replacedOf({ shared }: Migrated): string {
  if (shared.catalog) return 'the old files, but not the catalog, which stays';
  if (shared.store) return 'the old catalog, but not the files, which stay';
  return 'the old one';
}

/** Parses the locations of an option. @throws CommandError with 64; its message contains no password */
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
  const isPostgres = (text: string) => /^postgres(ql)?:/.test(text);
  const isS3 = (text: string) => text.startsWith('s3:');
  const atMostOne = (kind: string, found: readonly string[]) =>
    found.length > 1 ? fail(`names more than one ${kind}`) : found[0];
  const databaseUrl = atMostOne('database', texts.filter(isPostgres));
  const bucket = atMostOne('bucket', texts.filter(isS3));
  const folder = atMostOne(
    'folder',
    texts.filter((text) => !isPostgres(text) && !isS3(text)),
  );
  if (folder !== undefined && /^[a-z0-9+]+:\/\//i.test(folder)) fail('takes folders, postgres://… and s3://…');
  if (folder === undefined && databaseUrl === undefined)
    fail('has no location for the catalog: a folder or postgres://…');
  if (folder === undefined && bucket === undefined) fail('has no location for the files: a folder or s3://…');
  if (folder !== undefined && databaseUrl !== undefined && bucket !== undefined) {
    fail('has a folder too many: the catalog and the files have URLs');
  }
  return {
    dataFolder: folder === undefined ? undefined : resolve(folder),
    databaseUrl: databaseUrl === undefined ? undefined : parsed(databaseUrl, postgresUrl),
    blobs: bucket === undefined ? { kind: 'disk' } : parsed(bucket, parseS3Url),
  };
}

/** The spool folder of the data folder or of `--spool`; without either, a temporary folder. */
async function spoolOf(options: Record<string, string>, { from, to }: { from: Installation; to: Installation }) {
  const folder = to.dataFolder ?? from.dataFolder;
  const { spoolFolder, spoolBytes } = configFrom({ ...options, ...(folder !== undefined && { data: folder }) });
  const isChosen = options.spool !== undefined || process.env.TRAINYARD_SPOOL;
  if (folder !== undefined || isChosen) return { spoolFolder, spoolBytes, discard: async () => {} };
  const temporary = await mkdtemp(join(tmpdir(), 'trainyard-'));
  return { spoolFolder: temporary, spoolBytes, discard: () => rm(temporary, { recursive: true, force: true }) };
}
