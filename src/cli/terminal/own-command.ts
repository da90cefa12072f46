import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { shellWord, withCommand } from '../../command-line.js';

interface OwnCommand {
  readonly command: string;
  /** The package that a service serves, which has no commands of an installation. */
  readonly isRemote: boolean;
  /** The service whose package npx has fetched. */
  readonly serviceUrl?: string;
}

/** @param script the path of the program as it was called, also through npm's link */
export function ownCommandOf(script: string, environment: Record<string, string | undefined>): OwnCommand {
  const installed = { command: 'trainyard', isRemote: false };
  // `npm start` runs the file of a clone, where `npx trainyard` finds the package beside it and asks no registry.
  if (basename(script) !== 'trainyard') {
    return environment.npm_lifecycle_event === 'start' ? { ...installed, command: 'npx trainyard' } : installed;
  }
  const modules = dirname(dirname(script));
  if (basename(modules) !== 'node_modules') return installed;
  // A user and a password in the URL must not appear in messages.
  const source = npxPackages(dirname(modules))[0]?.replace(/^(https?:\/\/)[^/]*@/, '$1');
  if (source === undefined || !/\.tgz$|^https?:/.test(source)) return { ...installed, command: 'npx trainyard' };
  const [, serviceUrl] = /^(https?:.+)\/cli[^/]*\.tgz$/.exec(source) ?? [];
  const command = `npx --yes ${shellWord(source)}`;
  return { command, isRemote: /^https?:/.test(source), ...(serviceUrl !== undefined && { serviceUrl }) };
}

/** Only folders of npx's cache have a list of packages. */
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

export const ownCommand = ownCommandOf(process.argv[1] ?? '', process.env);

/** Shows each command as it is called on this machine. */
export function withOwnCommand(text: string): string {
  return withCommand(text, ownCommand);
}
