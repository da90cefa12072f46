import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import type { Installation } from '../../service/transfer/installation.js';
import { postgresUrl } from '../../setting-values.js';
import { parseS3Url } from '../../storage/blobs/s3/location.js';
import { addSettings, configFrom } from '../settings.js';
import { CommandError, EXIT } from '../terminal/exit-codes.js';
import { print, printJson } from '../terminal/print.js';
import { printable } from '../terminal/text.js';
import { copiedDocument, copiedText, withTransferProgress } from '../transfer-report.js';

type Options = Record<string, string> & { json?: true; from: readonly string[]; to: readonly string[] };

const HELP = `
A PLACE is a data folder, postgres://… for the catalog, or s3://… for the files; what is not named is in the folder. Stop
every instance on both sides first. Every file is read once and checked against its SHA-256, and the catalog comes last, in
one transaction: broken off, the same command goes on. The source stays as it is, but where its catalog is named on both
sides, which is then told where the files are. PGPASSWORD keeps a password out of the command line.

Examples:
  $ trainyard migrate-data --from ./data --to postgres://ty@db/trainyard "s3://lora/ty?endpoint=https://ceph:7480"
  $ trainyard migrate-data --from ./data --to ./data s3://lora      the catalog stays, the files move
  $ trainyard migrate-data --from ./data --to ./data postgres://db/trainyard     the catalog moves, the files stay
  $ trainyard migrate-data --from postgres://db/trainyard s3://lora --to ./data

Ends with 65, and a list, where files are damaged or missing; with 73 where the target holds a catalog already; with 75 where
an instance still runs.`;

/** `trainyard migrate-data` */
export function addMigrateDataCommand(program: Command): void {
  const command = program
    .command('migrate-data')
    .description('Copy catalog and files from one place to another, while nothing is served.')
    .requiredOption('--from <place...>', 'data folder, postgres://…, s3://…')
    .requiredOption('--to <place...>', 'the same')
    .option('--json', 'print JSON for scripts')
    .addHelpText('after', HELP)
    .action(migrateData);
  addSettings(command, ['spool', 'spoolBytes']);
}

async function migrateData({ json, from, to, ...options }: Options): Promise<void> {
  const ends = { from: placeOf('--from', from), to: placeOf('--to', to) };
  const migrated = await withTransferProgress({ json: json as true }, async ({ signal, onProgress, display }) => {
    const { migrate } = await import('../../service/transfer/migrate.js');
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
  else print(`migrated: ${copiedText(migrated)}. Serve the new place; the old one can go once that works.`);
}

/** @throws CommandError with 64 that says what is wrong with it, and never shows a password */
function placeOf(option: string, texts: readonly string[]): Installation {
  const fail = (fault: string): never => {
    throw new CommandError(EXIT.usage, `${option} ${fault}`);
  };
  const parsed = <T>(text: string, parse: (text: string) => T): T => {
    try {
      return parse(text);
    } catch (error) {
      return fail(`has a URL that ${error instanceof Error ? error.message : error}`);
    }
  };
  const isPostgres = (text: string) => /^postgres(ql)?:/.test(text);
  const isS3 = (text: string) => text.startsWith('s3:');
  const one = (kind: string, found: readonly string[]) =>
    found.length > 1 ? fail(`names more than one ${kind}`) : found[0];
  const databaseUrl = one('database', texts.filter(isPostgres));
  const bucket = one('bucket', texts.filter(isS3));
  const folder = one(
    'folder',
    texts.filter((text) => !isPostgres(text) && !isS3(text)),
  );
  if (folder !== undefined && /^[a-z0-9+]+:\/\//i.test(folder)) fail('knows folders, postgres://… and s3://…');
  if (folder === undefined && databaseUrl === undefined)
    fail('names no place for the catalog: a folder or postgres://…');
  if (folder === undefined && bucket === undefined) fail('names no place for the files: a folder or s3://…');
  if (folder !== undefined && databaseUrl !== undefined && bucket !== undefined) {
    fail('names a folder and has nothing for it: catalog and files have places of their own');
  }
  return {
    dataFolder: folder === undefined ? undefined : resolve(folder),
    databaseUrl: databaseUrl === undefined ? undefined : parsed(databaseUrl, postgresUrl),
    blobs: bucket === undefined ? { kind: 'disk' } : parsed(bucket, parseS3Url),
  };
}

/** As a server has it: in the data folder. Where there is none, in a folder for the time being. */
async function spoolOf(options: Record<string, string>, { from, to }: { from: Installation; to: Installation }) {
  const folder = to.dataFolder ?? from.dataFolder;
  const { spoolFolder, spoolBytes } = configFrom({ ...options, ...(folder !== undefined && { data: folder }) });
  const isChosen = options.spool !== undefined || process.env.TRAINYARD_SPOOL;
  if (folder !== undefined || isChosen) return { spoolFolder, spoolBytes, discard: async () => {} };
  const temporary = await mkdtemp(join(tmpdir(), 'trainyard-'));
  return { spoolFolder: temporary, spoolBytes, discard: () => rm(temporary, { recursive: true, force: true }) };
}
