import type { Command } from 'commander';
import { pino } from 'pino';
import type { openApp } from '../../app.js';
import { type Config, SETTINGS } from '../../config.js';
import { hasErrno } from '../../dataset/errors.js';
import { FolderInUse } from '../../storage/folder-lock.js';
import { addSettings, configFrom } from '../settings.js';
import { CommandError, EXIT, fail } from '../terminal/exit-codes.js';

type App = Awaited<ReturnType<typeof openApp>>;

const EXAMPLES = `
Examples:
  $ trainyard serve                                             on http://127.0.0.1:8787, data in ./data
  $ trainyard serve --host 0.0.0.0 --port 80 --data /srv/trainyard
  $ trainyard serve --mount-root /app/ai-toolkit/datasets       READY datasets appear there by themselves
  $ trainyard serve --port 0 --json                             one line of JSON says where, and the first token

Ends with 0 after ctrl-C or SIGTERM, 75 when the data folder is being served already or
database or bucket do not answer, 78 for settings that can't be used.`;

/** `trainyard serve` */
export function addServeCommand(program: Command): void {
  const command = program
    .command('serve')
    .description('Serve the dataset API. The first start makes an account and prints a token.')
    .option('--json', 'print JSON for scripts; the log stays on standard error')
    .addHelpText('after', EXAMPLES)
    .action(serve);
  addSettings(command, Object.keys(SETTINGS) as (keyof typeof SETTINGS)[]);
}

async function serve({ json, ...options }: Record<string, string> & { json?: true }): Promise<void> {
  const config = configFrom(options);
  const logger = pino({ level: config.logLevel }, pino.destination({ fd: 2, sync: true }));
  // Loaded here, so that no other command waits for the web server's code.
  const { openApp } = await import('../../app.js');
  const app = await openApp(config, logger).catch((error) => {
    if (error instanceof FolderInUse) throw new CommandError(EXIT.temporaryFailure, error.message, { cause: error });
    if (hasErrno(error, 'EADDRINUSE', 'EACCES', 'EADDRNOTAVAIL', 'ENOTDIR', 'EROFS', 'EEXIST', 'ENOTFOUND')) {
      throw new CommandError(EXIT.configError, `can't start: ${error.message}`, { cause: error });
    }
    throw error;
  });
  const start = await startOf(config, app);
  // First, since whoever reads that the service is there may tell it to stop.
  stopOnSignal(app, { isJson: json === true });
  process.stdout.write(json ? `${JSON.stringify(start)}\n` : greeting(start));
}

/** Ends with 0 after the first signal; a second one does not wait for requests in flight. */
function stopOnSignal(app: App, { isJson }: { isJson: boolean }): void {
  let isStopping = false;
  const onSignal = (signal: NodeJS.Signals) => {
    if (isStopping) process.exit(1);
    isStopping = true;
    if (!isJson) process.stdout.write(`trainyard: ${signal}, finishing what is under way …\n`);
    app.stop().then(
      () => process.exit(0),
      (error) => fail(EXIT.unavailable, `stopping failed: ${error instanceof Error ? error.stack : error}`),
    );
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}

/** What a person or a script needs to know of a service that has started, in the words of `--json`. */
interface Start {
  readonly url: string;
  readonly data_folder: string;
  /** Of the database that holds the catalog, where that is not in the data folder. */
  readonly database?: string;
  /** Made at the first start only. */
  readonly account?: string;
  readonly token?: string;
}

async function startOf(config: Config, { accounts, now, port, databaseName }: App): Promise<Start> {
  const host = config.host.includes(':') ? `[${config.host}]` : config.host;
  const start = {
    url: config.publicUrl ?? `http://${host}:${port}`,
    data_folder: config.dataFolder,
    ...(databaseName !== undefined && { database: databaseName }),
  };
  if (await accounts.hasTokens()) return start;
  const account = 'default';
  const { token } = await accounts.createToken(account, now());
  return { ...start, account, token };
}

function greeting({ url, data_folder, database, account, token }: Start): string {
  const catalog = database === undefined ? '' : `catalog in ${database}, `;
  const where = `trainyard serves ${url}\n  ${catalog}data in ${data_folder}, documentation at ${url}/docs\n`;
  if (token === undefined) {
    const flags = database === undefined ? ` --data ${data_folder}` : ', with the same DATABASE_URL';
    return `${where}  Tokens are shown once, when they are made: trainyard token create${flags}\n`;
  }
  return `${where}
This is the first start, so here are an account, "${account}", and its token. It is not shown again.
Open this page, which signs you in:

  ${url}/#token=${token}

Or paste this into another terminal, in this folder, to make a first dataset:

export TRAINYARD_URL=${url}
export TRAINYARD_TOKEN=${token}
api=$TRAINYARD_URL/prod/v1/trainers/datasets; auth="Authorization: Bearer $TRAINYARD_TOKEN"
id=$(curl -sS -X POST -H "$auth" $api | sed 's/.*"id":"\\([^"]*\\)".*/\\1/')
curl -sS -H "$auth" --form file=@examples/railway/yard_01.jpg $api/$id/upload
curl -sS -H "$auth" $api/$id/status

`;
}
