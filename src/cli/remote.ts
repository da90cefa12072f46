import type { Command } from 'commander';
import type { WireDataset } from '../api/schemas.js';
import { type Remote, readSaved } from './saved-login.js';
import { CommandError, EXIT, interruptible } from './terminal/exit-codes.js';
import { type Output, ownCommand, printMessage, printOutput } from './terminal/print.js';
import { openProgressDisplay, type ProgressDisplay } from './terminal/progress.js';
import { type ClientOptions, TrainyardClient, TrainyardError } from '../client/client.js';
import { NO_TOKEN, isToken } from '../client/requests.js';
import { installLine, shellWord, versionedCommand } from '../command-line.js';
import { nearestName } from '../nearest-name.js';
import { packageVersion } from '../version.js';

export interface RemoteOptions {
  readonly url?: string;
  readonly token?: string;
  readonly json?: boolean;
}

export function addRemoteOptions(command: Command): Command {
  return command
    .option('--url <url>', 'the service (env: TRAINYARD_URL; default: saved by login)')
    .option('--token <token>', 'your token (env: TRAINYARD_TOKEN; default: saved by login)')
    .option('--json', 'print JSON for scripts');
}

/**
 * Flags win over the environment, and that over `login`. A token that is no flag goes only to its own service.
 *
 * @throws CommandError with 78; with 64 if a header can't carry the token of `--token`
 */
export function remoteFrom(options: RemoteOptions): Remote {
  const saved = readSaved();
  // An empty variable counts as not set, since a compose file can't remove a variable.
  const wanted = options.url ?? (process.env.TRAINYARD_URL || saved.url);
  const url = wanted && serviceUrl(wanted);
  const { token, origin } = tokenFor(url, options, saved);
  if (url && token) {
    const exitCode = options.token === undefined ? EXIT.configError : EXIT.usage;
    requireSendableToken(token, { exitCode, origin });
    return { url, token };
  }
  const known = url && saved.url && saved.url !== url ? ` The saved token is for ${saved.url}.` : '';
  const advice =
    url && process.env.TRAINYARD_TOKEN
      ? 'TRAINYARD_TOKEN is sent only to the service that TRAINYARD_URL names or that "trainyard login" saved. To use another one, add --token.'
      : `Run "trainyard login ${shellWord(url || ownCommand.serviceUrl || 'URL')}", or set TRAINYARD_URL and TRAINYARD_TOKEN.`;
  throw new CommandError(EXIT.configError, `no ${url ? `token for ${url}` : 'service URL'} is set.${known} ${advice}`);
}

function tokenFor(
  url: string | undefined,
  options: RemoteOptions,
  saved: Partial<Remote>,
): { token?: string | undefined; origin: string } {
  if (options.token !== undefined) return { token: options.token, origin: 'the token of --token' };
  const { TRAINYARD_TOKEN: token, TRAINYARD_URL } = process.env;
  const isFor = (owner: string | undefined) => owner !== undefined && url === serviceUrl(owner);
  if (token && isFor(TRAINYARD_URL || saved.url)) return { token, origin: 'the token of TRAINYARD_TOKEN' };
  return { token: isFor(saved.url) ? saved.token : undefined, origin: 'the saved token' };
}

/** @throws CommandError */
export function requireSendableToken(token: string, { exitCode, origin }: { exitCode: number; origin: string }): void {
  if (!isToken(token)) throw new CommandError(exitCode, `${origin} ${NO_TOKEN}. It was not sent.`);
}

/** The addresses of the page and of the API documentation, as copied from a browser. */
const PAGE_PATH = /\/(docs|account|(shared\/)?datasets\/[^/]+(\/[^/]+)?)$/;

/** Normalizes the URL of a service, or of a view of its page. @throws CommandError with 78 */
export function serviceUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    // What is before an @ may be a password.
    const shown = JSON.stringify(text.replace(/^(\w+:\/\/)?.*@/s, '$1…@'));
    throw new CommandError(
      EXIT.configError,
      `${shown} is not the URL of a service. Write it like http://127.0.0.1:8787.`,
    );
  }
  if (url.username !== '' || url.password !== '') {
    const message = `the URL of ${url.host} has a user or a password, and a service takes neither. Write ${url.origin}, and give your token with --token or TRAINYARD_TOKEN.`;
    throw new CommandError(EXIT.configError, message);
  }
  return url.origin + url.pathname.replace(/\/+$/, '').replace(PAGE_PATH, '');
}

export function clientFrom(options: RemoteOptions, extra: Pick<ClientOptions, 'change'> = {}): TrainyardClient {
  return clientOf(remoteFrom(options), extra);
}

/** A client that explains why a service can't be reached, and warns of another version. */
export function clientOf(
  { url, token }: Remote,
  options: Pick<ClientOptions, 'change' | 'attempts'> = {},
): TrainyardClient {
  return new TrainyardClient({
    baseUrl: url,
    token,
    fetch: warningOfVersion(fetchOnceReached(), url),
    ...options,
  });
}

export const NO_DATASETS = 'You have no datasets yet. To create one, run: trainyard push DIR';

/** @throws CommandError with 66 if no dataset has the name or ID */
export async function mustFind(client: TrainyardClient, nameOrId: string, signal?: AbortSignal): Promise<WireDataset> {
  const dataset = await client.find(nameOrId, { signal });
  if (dataset !== undefined) return dataset;
  const hint = didYouMean(nameOrId, await client.list({ signal })) || ' To list your datasets, run: trainyard ls';
  throw new CommandError(EXIT.noInput, `there is no dataset "${nameOrId}".${hint}`);
}

/** ` Did you mean "railway"?`, or an empty text. */
export function didYouMean(name: string, datasets: readonly { name: string }[]): string {
  const names = datasets.map((dataset) => dataset.name);
  const near = nearestName(name, names, Math.max(1, name.length / 3));
  return near === undefined ? '' : ` Did you mean ${JSON.stringify(near)}?`;
}

export interface Call<Options = unknown> {
  readonly client: TrainyardClient;
  /** Of the service. */
  readonly url: string;
  readonly options: RemoteOptions & Options;
  /** Aborts at ctrl-C. */
  readonly signal: AbortSignal;
  /** Cleared at the end. */
  readonly display: ProgressDisplay;
}

/** Without a result, the command has printed its output itself. */
type ServiceWork<Options, Args extends unknown[]> = (call: Call<Options>, ...args: Args) => Promise<Output | undefined>;

/** Completes a command that calls a service, with options and help. */
export function onService<Options, Args extends unknown[]>(
  command: Command,
  help: string,
  run: ServiceWork<Options, Args>,
): Command {
  return addRemoteOptions(command).addHelpText('after', help).action(serviceAction(command, run));
}

/** An action whose `run` gets the command's arguments after the call. */
export function serviceAction<Options, Args extends unknown[]>(command: Command, run: ServiceWork<Options, Args>) {
  return (...given: unknown[]): Promise<void> =>
    interruptible(async (signal) => {
      const options = command.opts<RemoteOptions & Options>();
      // Commander adds the options and the command.
      const args = given.slice(0, -2) as Args;
      const remote = remoteFrom(options);
      const display = openProgressDisplay({ isQuiet: options.json === true });
      const call = { client: clientOf(remote), url: remote.url, options, signal, display };
      const output = await run(call, ...args).finally(display.clear);
      if (output !== undefined) printOutput(output, options.json === true);
    });
}

/** Completes a command whose first argument is the name or ID of a dataset. */
export function onDataset<Options, Args extends unknown[]>(
  command: Command,
  help: string,
  run: (dataset: WireDataset, call: Call<Options>, ...args: Args) => Promise<Output | undefined>,
): Command {
  return onService(command, help, async (call: Call<Options>, nameOrId: string, ...args: Args) =>
    run(await mustFind(call.client, nameOrId, call.signal), call, ...args).catch(explainMissingRoute),
  );
}

/** @throws CommandError with 69 if the route is missing; otherwise the error itself */
export function explainMissingRoute(error: unknown): never {
  const isMissing = error instanceof TrainyardError && error.status === 404;
  if (!isMissing || (error.code !== undefined && error.code !== 'route_not_found')) throw error;
  const message = "this service can't do that: it is no trainyard, or has another version.";
  throw new CommandError(EXIT.unavailable, message, { cause: error });
}

/** For calls that other services lack, or that this token may not make. */
export function undefinedFor(...statuses: readonly number[]): (error: unknown) => undefined {
  return (error) => {
    if (!(error instanceof TrainyardError && statuses.includes(error.status))) throw error;
  };
}

/** Broken off after something had answered, so another attempt can succeed (codes of Node and undici). */
const BROKEN_OFF = ['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'];

const REASONS: Record<string, string> = {
  ECONNREFUSED: 'no program accepts connections there. Is the service running, and is the port right?',
  ENOTFOUND: 'no host has that name. Is the address right?',
  EAI_AGAIN: "the host's name can't be resolved now. Is this machine connected to the network?",
  EHOSTUNREACH: 'no route leads there. Is this machine connected to the network?',
  ENETUNREACH: 'no route leads there. Is this machine connected to the network?',
  ERR_SSL_WRONG_VERSION_NUMBER: 'it does not answer with TLS. Does its URL begin with http:// instead of https://?',
  UND_ERR_CONNECT_TIMEOUT: 'it does not answer. Is the address right, and does a firewall let this machine through?',
};

/** A `fetch` that ends the command if the first request can't connect: a mistaken address is not worth five attempts. */
export function fetchOnceReached(): typeof fetch {
  let isReached = false;
  return async (input, init) => {
    try {
      const response = await fetch(input, init);
      isReached = true;
      return response;
    } catch (error) {
      const { origin, port } = new URL(input instanceof Request ? input.url : input);
      // https://fetch.spec.whatwg.org/#port-blocking
      if (error instanceof TypeError && error.cause instanceof Error && error.cause.message === 'bad port') {
        const message = `${origin} can't be reached: port ${port} belongs to another protocol, and neither browsers nor this command connect to it. Let the service listen on another port, such as 8787.`;
        throw new CommandError(EXIT.configError, message, { cause: error });
      }
      const code = codeOf(error);
      if (isReached || code === undefined || BROKEN_OFF.includes(code)) throw error;
      const reason = REASONS[code] ?? (error as { cause: Error }).cause.message;
      throw new CommandError(EXIT.unavailable, `${origin} can't be reached (${code}): ${reason}`, { cause: error });
    }
  };
}

/** The code of the system, OpenSSL or undici; `undefined` if `fetch` was not begun, or aborted. */
function codeOf(error: unknown): string | undefined {
  if (!(error instanceof TypeError) || !(error.cause instanceof Error)) return undefined;
  const { code } = error.cause as NodeJS.ErrnoException;
  return typeof code === 'string' ? code : undefined;
}

let hasWarned = false;

/** A `fetch` that warns once in a process if the service has another version than this command. */
function warningOfVersion(fetchAnswer: typeof fetch, serviceUrl: string): typeof fetch {
  return async (...args) => {
    const response = await fetchAnswer(...args);
    const own = packageVersion();
    const version = response.headers.get('trainyard-version') ?? own;
    const isKnown = /^\d{1,5}\.\d{1,5}\.\d{1,5}(-[0-9a-z.]{1,20})?$/.test(version);
    if (hasWarned || !isKnown || version === own) return response;
    hasWarned = true;
    const line = ownCommand.command === 'trainyard' ? installLine(serviceUrl) : versionedCommand(serviceUrl, version);
    printMessage(`this command is version ${own}, and ${serviceUrl} is ${version}. To get that one, run: ${line}`);
    return response;
  };
}
