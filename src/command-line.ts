/*
 * The name `trainyard` on npm is not ours: `npx trainyard` outside an installation would run its owner's code. So lines for other
 * machines name the package that the service itself serves.
 */

/** Below the URL of a service. */
export const CLI_PACKAGE_PATH = '/cli.tgz';

/** @param serviceUrl without a slash at its end */
export function installLine(serviceUrl: string): string {
  return `npm i -g ${shellWord(serviceUrl + CLI_PACKAGE_PATH)}`;
}

/** Runs a command without an installation. @param words unquoted: `['mount', 'red wagons']` */
export function commandLine(serviceUrl: string, words: readonly string[]): string {
  return ['npx --yes', ...[serviceUrl + CLI_PACKAGE_PATH, ...words].map(shellWord)].join(' ');
}

/** npx keeps what it fetched from a URL, also after the service is updated. */
export function versionedCommand(serviceUrl: string, version: string): string {
  return `npx --yes ${shellWord(`${serviceUrl}/cli-${version}.tgz`)}`;
}

/** Not in the package that a service serves. */
export const INSTALLATION_COMMANDS = ['serve', 'token', 'backup', 'restore', 'migrate-data', 'jobs'] as const;

/** For the package that a service serves. @param command such as `jobs` */
export function notInPackage(command: string): string {
  return `"${command}" is not in this package, which has only the commands that talk to a service. Run it on the machine that holds the data. In a clone of trainyard, run: npx trainyard ${command}`;
}

/** Shows `run: trainyard ls`, `"trainyard log"` and shell lines such as `$ trainyard push photos` as they are called here. */
export function withCommand(text: string, { command, isRemote }: { command: string; isRemote: boolean }): string {
  return text.replace(
    /(\$ (?:[A-Z_]+=\S+ )*|\$\(|\| |[Rr]un: |")trainyard ([a-z-]+)/g,
    (found, before: string, name: string) => {
      const isElsewhere = isRemote && INSTALLATION_COMMANDS.some((each) => each === name);
      return isElsewhere ? found : `${before}${command} ${name}`;
    },
  );
}

/** For a POSIX shell. */
export function shellWord(text: string): string {
  return /^[\w./:@%+=,-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

interface LinkedTar {
  readonly url: string;
  readonly sha256sums_url: string;
  readonly script_url: string;
}

/** For a POSIX shell with curl and tar. `mount` renames the verified folder into place, in `root`. */
export function tarCommands({ url, sha256sums_url, script_url }: LinkedTar, root: string) {
  const folder = shellWord(root);
  // `href` encodes control characters in a distrusted service's URL.
  const word = (address: string) => shellWord(new URL(address).href);
  return {
    unpack: `mkdir -p ${folder} && curl -fsS ${word(url)} | tar -x -C ${folder}`,
    verify: `curl -fsS ${word(sha256sums_url)} | (cd ${folder} && sha256sum -c >/dev/null) && echo intact`,
    mount: `curl -fsS ${word(script_url)} | sh -s -- ${word(url)} ${folder}`,
  };
}

/** Whether only the machine of the service can open a URL. */
export function isLoopback(url: string): boolean {
  return /^(127\.[\d.]+|\[::1\]|localhost)$/.test(new URL(url).hostname);
}
