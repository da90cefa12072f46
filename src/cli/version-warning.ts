import { installLine, versionedCommand } from '../command-line.js';
import { packageVersion } from '../version.js';
import { ownCommand } from './terminal/own-command.js';
import { printMessage } from './terminal/print.js';

let hasWarned = false;

/** Makes a `fetch` that prints a warning, once in a process, if the service has another version than this command. */
export function warningOfVersion(fetchAnswer: typeof fetch, serviceUrl: string): typeof fetch {
  return async (...args) => {
    const response = await fetchAnswer(...args);
    const version = response.headers.get('trainyard-version') ?? packageVersion();
    const isKnown = /^\d{1,5}\.\d{1,5}\.\d{1,5}(-[0-9a-z.]{1,20})?$/.test(version);
    if (!hasWarned && isKnown && version !== packageVersion()) {
      hasWarned = true;
      const line = ownCommand.command === 'trainyard' ? installLine(serviceUrl) : versionedCommand(serviceUrl, version);
      printMessage(
        `this command is version ${packageVersion()}, and ${serviceUrl} is ${version}. To get that one, run: ${line}`,
      );
    }
    return response;
  };
}
