import type { Command } from 'commander';
import { pino } from 'pino';
import type { openApp } from '../app.js';
import { type Config, SETTINGS } from '../config.js';
import { hasErrno } from '../dataset/errors.js';
import { StoreUnusable } from '../storage/blobs.js';
import { FolderInUse } from '../storage/folder-lock.js';
import { EXIT, fail } from './exit.js';
import { addSettings, configFrom } from './settings.js';

type App = Awaited<ReturnType<typeof openApp>>;

/** `trainyard serve` */
export function addServeCommand(program: Command): void {
  const command = program
    .command('serve')
    .description('Serve the dataset API. The first start makes an account and prints a token.')
    .action(serve);
  addSettings(command, Object.keys(SETTINGS) as (keyof typeof SETTINGS)[]);
}

async function serve(options: Record<string, string>): Promise<void> {
  const config = configFrom(options);
  const logger = pino({ level: config.logLevel }, pino.destination({ fd: 2, sync: true }));
  // Loaded here, so that no other command waits for the web server's code.
  const { openApp } = await import('../app.js');
  const app = await openApp(config, logger).catch((error) => {
    if (error instanceof StoreUnusable) {
      return fail(error.isTemporary ? EXIT.temporaryFailure : EXIT.configError, `can't start: ${error.message}`);
    }
    if (error instanceof FolderInUse) return fail(EXIT.temporaryFailure, error.message);
    if (hasErrno(error, 'EADDRINUSE', 'EACCES', 'EADDRNOTAVAIL', 'ENOTDIR', 'EROFS', 'EEXIST', 'ENOTFOUND')) {
      return fail(EXIT.configError, `can't start: ${error.message}`);
    }
    throw error;
  });
  process.stdout.write(await greeting(config, app));
  stopOnSignal(app);
}

/** Ends with 0 after the first signal; a second one does not wait for requests in flight. */
function stopOnSignal(app: App): void {
  let isStopping = false;
  const onSignal = (signal: NodeJS.Signals) => {
    if (isStopping) process.exit(1);
    isStopping = true;
    process.stdout.write(`trainyard: ${signal}, finishing what is under way …\n`);
    app.stop().then(
      () => process.exit(0),
      (error) => fail(EXIT.unavailable, `stopping failed: ${error instanceof Error ? error.stack : error}`),
    );
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}

async function greeting(config: Config, { accounts, now, port, databaseName }: App): Promise<string> {
  const host = config.host.includes(':') ? `[${config.host}]` : config.host;
  const url = config.publicUrl ?? `http://${host}:${port}`;
  const catalog = databaseName === undefined ? '' : `catalog in ${databaseName}, `;
  const where = `trainyard serves ${url}\n  ${catalog}data in ${config.dataFolder}, documentation at ${url}/docs\n`;
  if (await accounts.hasTokens()) {
    const flags = databaseName === undefined ? ` --data ${config.dataFolder}` : ', with the same DATABASE_URL';
    return `${where}  Tokens are shown once, when they are made: trainyard token create${flags}\n`;
  }
  const { token } = await accounts.createToken('default', now());
  return `${where}
This is the first start, so here are an account, "default", and its token. It is not shown again.
Paste this into another terminal, in this folder, to make a first dataset:

export TRAINYARD_URL=${url}
export TRAINYARD_TOKEN=${token}
api=$TRAINYARD_URL/prod/v1/trainers/datasets; auth="Authorization: Bearer $TRAINYARD_TOKEN"
id=$(curl -sS -X POST -H "$auth" $api | sed 's/.*"id":"\\([^"]*\\)".*/\\1/')
curl -sS -H "$auth" --form file=@examples/railway/yard_01.jpg $api/$id/upload
curl -sS -H "$auth" $api/$id/status

`;
}
