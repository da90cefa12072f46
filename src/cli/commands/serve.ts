import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import type { Logger } from 'pino';
import type { openApp } from '../../app.js';
import { type Remote, saveFirstLogin } from '../saved-login.js';
import { serviceUrls } from '../../server/listening-urls.js';
import { addSettings, configFrom } from '../settings.js';
import { CommandError, EXIT, fail } from '../terminal/exit-codes.js';
import { ownCommand } from '../terminal/print.js';
import { printable } from '../terminal/text.js';
import { installLine, isLoopback, shellWord } from '../../command-line.js';
import type { Config } from '../../config.js';
import { hasErrno } from '../../dataset/errors.js';
import { MIN_OPEN_FILES, openFileLimit } from '../../open-file-limit.js';
import { PACKAGE_FOLDER } from '../../version.js';
import { withoutTokens } from '../../service/audit-log.js';
import { SETTINGS } from '../../settings.js';

type App = Awaited<ReturnType<typeof openApp>>;

const EXAMPLES = `
Examples:
  $ trainyard serve                                             on http://127.0.0.1:8787, data in ./data
  $ trainyard serve --host 0.0.0.0 --port 80 --data /srv/trainyard
  $ trainyard serve --mount-root /app/ai-toolkit/datasets       mounts READY datasets there
  $ trainyard serve --port 0 --json                             prints the URL and the first token as JSON

The log goes to standard error: JSON lines if that is a pipe or a file, and warnings and errors as text on a terminal.
There, the levels info and debug of --log-level need --log json.

Exit codes: 0 after ctrl-C or SIGTERM, 75 if another process serves the data folder, or the database or bucket does not
answer, 78 for invalid settings.`;

const EXAMPLE = 'examples/railway';

/** `trainyard serve` */
export function addServeCommand(program: Command): void {
  const command = program
    .command('serve')
    .description('Serve the dataset API. The first start creates an account and prints a token.')
    .option('--json', 'print JSON for scripts; the log stays on standard error')
    .addOption(
      new Option('--log <form>', 'form of the log (default: text on a terminal, json elsewhere)').choices([
        'json',
        'text',
      ]),
    )
    .addHelpText('after', EXAMPLES)
    .action(serve);
  addSettings(command, Object.keys(SETTINGS) as (keyof typeof SETTINGS)[]);
}

type ServeOptions = Record<string, string> & { json?: true; log?: LogForm };

async function serve({ json, log, ...options }: ServeOptions): Promise<void> {
  const config = configFrom(options);
  const openFiles = openFileLimit();
  if (openFiles < MIN_OPEN_FILES) {
    const message = `can't start: this process may open only ${openFiles} files, and needs ${MIN_OPEN_FILES}. Raise the limit (ulimit -n 4096, or LimitNOFILE= of the systemd unit).`;
    throw new CommandError(EXIT.configError, message);
  }
  const logger = await openLog(config.logLevel, log ?? (process.stderr.isTTY ? 'text' : 'json'));
  // Imported late, so that other commands start without loading this code. SQLite opens in its thread while the rest is loaded.
  const { openStorage } = await import('../../open-storage.js');
  const opening = openStorage(config, logger);
  const starting = import('../../app.js').then(async ({ openApp }) => openApp(config, logger, await opening));
  const [app] = await Promise.all([starting, opening]).catch((error) => {
    const isOfFolder = hasErrno(error, 'EACCES', 'ENOTDIR', 'EROFS', 'EEXIST');
    const reason = reasonNotToListen(error, config) ?? (isOfFolder ? error.message : undefined);
    if (reason !== undefined) throw new CommandError(EXIT.configError, `can't start: ${reason}`, { cause: error });
    throw error;
  });
  const start = await startOf(config, app);
  // Before printing: a script may send SIGTERM as soon as it reads the URL.
  stopOnSignal(app, { isJson: json === true });
  if (json) return void process.stdout.write(`${JSON.stringify(start)}\n`);
  const steps = start.token === undefined ? '' : await firstSteps({ url: start.url, token: start.token });
  process.stdout.write(`${greeting(start, clipsSentence(config, app))}${steps}\n`);
}

function reasonNotToListen(error: unknown, { host, port }: Config): string | undefined {
  if (!(error instanceof Error && 'syscall' in error) || !['listen', 'getaddrinfo'].includes(String(error.syscall))) {
    return undefined;
  }
  if (hasErrno(error, 'EADDRINUSE')) {
    return `port ${port} of ${host} is taken by another process. Stop that one, or take another port: --port ${port < 65_535 ? port + 1 : port - 1}`;
  }
  if (hasErrno(error, 'EACCES')) {
    return `only root may listen on port ${port}. Take a port from 1024 on, such as --port 8787, behind a proxy.`;
  }
  return `${host} is not an address of this machine. Use --host 127.0.0.1, or --host 0.0.0.0 for all of its networks.`;
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

/** The document of `serve --json`. The first start creates an account and its token. */
async function startOf({ publicUrl, host, dataFolder }: Config, { accounts, now, port, databaseName }: App) {
  const [url, ...others] = publicUrl === undefined ? serviceUrls({ host, port }) : [publicUrl];
  const account = 'default';
  const created = (await accounts.hasAccounts()) ? undefined : await accounts.createToken(account, now());
  return {
    url,
    // For other machines, if it listens on all addresses and has no public URL.
    ...(others.length > 0 && { other_urls: others }),
    data_folder: dataFolder,
    // The catalog, if it is not in the data folder.
    ...(databaseName !== undefined && { database: databaseName }),
    ...(created && { account, token: created.token }),
  };
}

type Start = Awaited<ReturnType<typeof startOf>>;

function greeting(start: Start, clips: string): string {
  const { url, other_urls, data_folder, database, account, token } = start;
  const flags = database === undefined ? ` --data ${shellWord(resolve(data_folder))}` : ', with the same DATABASE_URL';
  const another = `run: ${ownCommandAnywhere()} token create${flags}`;
  const rows = [
    ['sign in', token === undefined ? `with a token; to create one, ${another}` : `${url}/#token=${token}`],
    ...(token === undefined
      ? []
      : [['', `as "${account}". The token is not shown again; to create another, ${another}`]]),
    ['data', data_folder],
    ...(database === undefined ? [] : [['catalog', database]]),
    ['clips', clips],
    ['network', networkSentence(start)],
    ['command', `on a machine that has Node, run: ${installLine(other_urls?.[0] ?? url)}`],
    ['API', `documentation at ${url}/docs`],
  ];
  const block = rows.map(([title = '', text]) => `  ${title.padEnd(9)}${text}\n`).join('');
  return `trainyard serves ${url}\n\n${block}`;
}

/** `npx trainyard` outside a clone would run a package of its name on npm. */
function ownCommandAnywhere(): string {
  const { command } = ownCommand;
  return command === 'npx trainyard' ? `cd ${shellWord(process.cwd())} && ${command}` : command;
}

function networkSentence({ url, other_urls }: Start): string {
  if (other_urls !== undefined) return `other machines reach it at ${other_urls.join(' or ')}, without encryption`;
  return isLoopback(url) ? 'this machine only; for others, serve with --host 0.0.0.0, or behind a proxy' : `at ${url}`;
}

function clipsSentence({ ffmpeg }: Config, { decodesClips }: App): string {
  if (decodesClips) return 'with ffmpeg, every frame is decoded; a warning follows if it does not run';
  return `ffmpeg ${ffmpeg.kind === 'none' ? 'is turned off' : 'not found'}: frames are not decoded, and each clip gets a warning`;
}

/** The lines that push the example, signed in by a saved login or else by the environment. */
async function firstSteps(remote: Remote): Promise<string> {
  const isSaved = await saveFirstLogin(remote);
  const environment = `export TRAINYARD_URL=${remote.url}\nexport TRAINYARD_TOKEN=${remote.token}\n`;
  // This folder, where a clone or a container was started, or else the package.
  const root = existsSync(EXAMPLE) ? process.cwd() : PACKAGE_FOLDER;
  const signedIn = isSaved ? ' The command line of this machine is signed in.' : '';
  return `
This is the first start.${signedIn} To push a first dataset, paste this into another terminal:

${isSaved ? '' : environment}cd ${shellWord(root)} && ${ownCommand.command} push ${EXAMPLE}
`;
}

/** JSON lines for programs, or the warnings and errors as text for a person. */
type LogForm = 'json' | 'text';

const WARNING = 40;
const ERROR = 50;

/** In characters. While nothing can be written, later lines are dropped. */
const MAX_UNWRITTEN_LOG = 1024 * 1024;

/** The log on standard error, without tokens. */
async function openLog(level: string, form: LogForm): Promise<Logger> {
  const { pino } = await import('pino');
  const output = pino.destination({ fd: 2, sync: true, maxLength: MAX_UNWRITTEN_LOG });
  // A full disk under the log ends no service.
  output.on('error', () => {});
  const textOf = form === 'json' ? (line: string) => line : logText;
  return pino({ level }, { write: (line) => output.write(textOf(withoutTokens(line))) });
}

/** `warning: the bucket does not answer (attempt 2): timed out`; empty below a warning. */
export function logText(line: string): string {
  const { level, time, pid, hostname, msg, err, ...facts } = JSON.parse(line);
  if (level < WARNING) return '';
  const details = Object.entries(facts).map(
    ([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const about = details.length > 0 ? ` (${details.join(', ')})` : '';
  const reason = err?.message === undefined || err.message === msg ? '' : `: ${err.message}`;
  return `${printable(`${level < ERROR ? 'warning' : 'error'}: ${msg}${about}${reason}`)}\n`;
}
