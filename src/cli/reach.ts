import { installLine, versionedCommand } from '../command-line.js';
import { packageVersion } from '../version.js';
import { CommandError, EXIT } from './terminal/exit-codes.js';
import { ownCommand } from './terminal/own-command.js';
import { printMessage } from './terminal/print.js';

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
export function warningOfVersion(fetchAnswer: typeof fetch, serviceUrl: string): typeof fetch {
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
