/*
 * How a command is called on a machine that may have nothing but Node. The name `trainyard` on npm is not ours: `npx trainyard`
 * outside an installation would run code of its owner. So lines for other machines name the package that the service itself serves.
 */

/** The path of the package of the command line, below the URL of a service. */
export const CLI_PACKAGE_PATH = '/cli.tgz';

/**
 * The line that installs the command `trainyard` from a service.
 *
 * @param serviceUrl without a slash at its end; the origin, unless the service is below a path
 */
export function installLine(serviceUrl: string): string {
  return `npm i -g ${shellWord(serviceUrl + CLI_PACKAGE_PATH)}`;
}

/**
 * The line that runs a command without an installation.
 *
 * @param words those of the command, each quoted where a shell needs it: `['mount', 'red wagons']`
 */
export function commandLine(serviceUrl: string, words: readonly string[]): string {
  return ['npx --yes', ...[serviceUrl + CLI_PACKAGE_PATH, ...words].map(shellWord)].join(' ');
}

/** The same for the package of one version, since npx keeps what it has fetched from a URL, also after the service is updated. */
export function versionedCommand(serviceUrl: string, version: string): string {
  return `npx --yes ${shellWord(`${serviceUrl}/cli-${version}.tgz`)}`;
}

/** Commands that open an installation, and are not in the package that a service serves. */
export const INSTALLATION_COMMANDS = ['serve', 'token', 'backup', 'restore', 'migrate-data', 'jobs'] as const;

/**
 * Replaces the name in front of commands, as messages and help texts write them, by how the command is called:
 * `run: trainyard ls`, `"trainyard log"`, `$ trainyard push photos`.
 */
export function withCommand(text: string, { command, isRemote }: { command: string; isRemote: boolean }): string {
  return text.replace(/(\$ |run: |")trainyard ([a-z-]+)/g, (found, before: string, name: string) => {
    const isElsewhere = isRemote && INSTALLATION_COMMANDS.some((each) => each === name);
    return isElsewhere ? found : `${before}${command} ${name}`;
  });
}

/** A word for a POSIX shell. */
export function shellWord(text: string): string {
  return /^[\w./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** A link to the tar archive of a dataset, as far as commands need it. */
interface LinkedTar {
  readonly url: string;
  readonly sha256sums_url: string;
  readonly script_url: string;
}

/**
 * Lines for a POSIX shell on a machine that has curl and tar alone: `unpack` unpacks the dataset into a folder of its name, `verify`
 * compares every file there with its SHA-256, `mount` does both and then renames the folder into place.
 *
 * @param root the folder on that machine in which the dataset becomes a folder
 */
export function tarCommands({ url, sha256sums_url, script_url }: LinkedTar, root: string) {
  const folder = shellWord(root);
  // A URL of a service that is not trusted may have control characters, which `href` encodes.
  const word = (address: string) => shellWord(new URL(address).href);
  return {
    unpack: `mkdir -p ${folder} && curl -fsS ${word(url)} | tar -x -C ${folder}`,
    verify: `curl -fsS ${word(sha256sums_url)} | (cd ${folder} && sha256sum -c >/dev/null) && echo intact`,
    mount: `curl -fsS ${word(script_url)} | sh -s -- ${word(url)} ${folder}`,
  };
}
