import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { shellWord, withCommand } from '../../command-line.js';

/** How this process was started, and how a person starts another command on this machine. */
interface OwnCommand {
  readonly command: string;
  /** The package that a service serves, which has no commands of an installation. */
  readonly isRemote: boolean;
  /** The service whose package npx has fetched. */
  readonly serviceUrl?: string;
}

/** @param script the path of the program as it was called: that of a link, if npm made one */
export function ownCommandOf(script: string, environment: Record<string, string | undefined>): OwnCommand {
  const installed = { command: 'trainyard', isRemote: false };
  // `npm start` runs the file of a clone, where `npx trainyard` finds the package beside it and asks no registry.
  if (basename(script) !== 'trainyard') {
    return environment.npm_lifecycle_event === 'start' ? { ...installed, command: 'npx trainyard' } : installed;
  }
  const modules = dirname(dirname(script));
  if (basename(modules) !== 'node_modules') return installed;
  // A user and a password in the URL are not for messages.
  const source = npxPackages(dirname(modules))[0]?.replace(/^(https?:\/\/)[^/]*@/, '$1');
  if (source === undefined || !/\.tgz$|^https?:/.test(source)) return { ...installed, command: 'npx trainyard' };
  const [, serviceUrl] = /^(https?:.+)\/cli[^/]*\.tgz$/.exec(source) ?? [];
  const command = `npx --yes ${shellWord(source)}`;
  return { command, isRemote: /^https?:/.test(source), ...(serviceUrl !== undefined && { serviceUrl }) };
}

/** What npx fetched into a folder of its cache; empty for other folders. */
function npxPackages(folder: string): readonly string[] {
  try {
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
      _npx?: { packages?: string[] };
    };
    return manifest._npx?.packages ?? [];
  } catch {
    return [];
  }
}

/** How this process was started. */
export const ownCommand = ownCommandOf(process.argv[1] ?? '', process.env);

/** A message or a help text, with each command as it is called on this machine. */
export function withOwnCommand(text: string): string {
  return withCommand(text, ownCommand);
}
