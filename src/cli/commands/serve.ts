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
  $ trainyard serve --mount-root /app/ai-toolkit/datasets       mounts READY datasets there
  $ trainyard serve --port 0 --json                             prints the URL and the first token as JSON

Exit codes: 0 after ctrl-C or SIGTERM, 75 if another process serves the data folder, or the database or bucket does not
answer, 78 for invalid settings.`;

/** `trainyard serve` */
export function addServeCommand(program: Command): void {
  const command = program
    .command('serve')
    .description('Serve the dataset API. The first start creates an account and prints a token.')
    .option('--json', 'print JSON for scripts; the log stays on standard error')
    .addHelpText('after', EXAMPLES)
    .action(serve);
  addSettings(command, Object.keys(SETTINGS) as (keyof typeof SETTINGS)[]);
}

async function serve({ json, ...options }: Record<string, string> & { json?: true }): Promise<void> {
  const config = configFrom(options);
  const logger = pino({ level: config.logLevel }, pino.destination({ fd: 2, sync: true }));
  // Imported late, so that other commands start without loading the web server's code.
  const { openApp } = await import('../../app.js');
  const app = await openApp(config, logger).catch((error) => {
    if (error instanceof FolderInUse) throw new CommandError(EXIT.temporaryFailure, error.message, { cause: error });
    if (hasErrno(error, 'EADDRINUSE', 'EACCES', 'EADDRNOTAVAIL', 'ENOTDIR', 'EROFS', 'EEXIST', 'ENOTFOUND')) {
      throw new CommandError(EXIT.configError, `can't start: ${error.message}`, { cause: error });
    }
    throw error;
  });
  const start = await startOf(config, app);
  // Before printing: a script may send SIGTERM as soon as it reads the URL.
  stopOnSignal(app, { isJson: json === true });
  process.stdout.write(json ? `${JSON.stringify(start)}\n` : greeting(start));
}

/** Drains and exits with 0 after the first signal. A second signal does not wait for requests in flight. */
function stopOnSignal(app: App, { isJson }: { isJson: boolean }): void {
  let isStopping = false;
  const onSignal = (signal: NodeJS.Signals) => {
    if (isStopping) process.exit(1);
    isStopping = true;
    if (!isJson) process.stdout.write(`trainyard: ${signal} received, finishing requests in flight …\n`);
    app.stop().then(
      () => process.exit(0),
      (error) => fail(EXIT.unavailable, `stopping failed: ${error instanceof Error ? error.stack : error}`),
    );
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}

/** The document that `serve --json` prints at the start. */
interface Start {
  readonly url: string;
  readonly data_folder: string;
  /** The database of the catalog, if it is not in the data folder. */
  readonly database?: string;
  /** Created at the first start only. */
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
    return `${where}  To create a token, run: trainyard token create${flags}\n`;
  }
  return `${where}
This is the first start. It created the account "${account}" and a token, which is not shown again.
To sign in, open this page:

  ${url}/#token=${token}

To create a first dataset, paste this into another terminal, in this folder:

export TRAINYARD_URL=${url}
export TRAINYARD_TOKEN=${token}
api=$TRAINYARD_URL/prod/v1/trainers/datasets; auth="Authorization: Bearer $TRAINYARD_TOKEN"
id=$(curl -sS -X POST -H "$auth" $api | sed 's/.*"id":"\\([^"]*\\)".*/\\1/')
curl -sS -H "$auth" --form file=@examples/railway/yard_01.jpg $api/$id/upload
curl -sS -H "$auth" $api/$id/status

`;
}
