import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { commandOf, environmentOfStage, lastOf, pairsOf, type Stage } from './dockerfile.js';

/** What a container's shell finds; `unshare` and `chroot` themselves are of this machine. */
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Certificates of this machine, for builds behind a proxy that has its own. */
const CERTIFICATES = '/etc/ssl/certs/ca-certificates.crt';

/** Runs a program to its end and shows its output. @throws Error if it fails */
export function run(program: string, args: readonly string[], options: { cwd?: string } = {}): void {
  execFileSync(program, args, { ...options, stdio: ['ignore', 'inherit', 'inherit'] });
}

/**
 * Makes a folder like the image `node:22-trixie-slim`: that release of Debian, Node and npm from their packages, and the
 * user "node". Needs root and `debootstrap`.
 */
export function makeBase(image: string, root: string): void {
  const [, major = '', suite = ''] = /^node:(\d+)-(\w+)-slim$/.exec(image) ?? [];
  if (major === '') throw new Error(`Expected node:MAJOR-RELEASE-slim as the base, not ${image}`);
  run('debootstrap', ['--variant=minbase', suite, root, 'http://deb.debian.org/debian']);
  cpSync('/etc/apt/sources.list.d/debian.sources', join(root, 'etc/apt/sources.list.d/debian.sources'));
  writeFileSync(join(root, 'etc/apt/sources.list'), '');
  const packages = join(root, 'usr/local/lib');
  const node = `node-linux-${process.arch}`;
  const quietly = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefix', packages];
  run('npm', ['install', ...quietly, `${node}@${major}`, 'npm@10']);
  const programs = [`../lib/node_modules/${node}/bin/node`, '../lib/node_modules/npm/bin/npm-cli.js'];
  run('ln', ['-s', ...programs, join(root, 'usr/local/bin')]);
  run('mv', [join(root, 'usr/local/bin/npm-cli.js'), join(root, 'usr/local/bin/npm')]);
  run('chroot', [root, 'useradd', '--create-home', '--uid', '1000', 'node']);
}

/** Runs the instructions of a stage in `root`, which has its base; `context` has the files that `COPY` names. */
export function buildStage(stage: Stage, root: string, context: string, rootOf: (stage: string) => string): void {
  let folder = '/';
  let environment: Record<string, string> = {};
  const building = stage.instructions.filter(({ name }) => ['WORKDIR', 'COPY', 'RUN', 'ENV'].includes(name));
  for (const { name, text } of building) {
    console.log(`== ${name} ${text}`);
    if (name === 'WORKDIR') {
      folder = resolve(folder, text);
      mkdirSync(join(root, folder), { recursive: true });
    }
    if (name === 'ENV') environment = { ...environment, ...pairsOf(text) };
    if (name === 'COPY') copy(text, folder, root, (from) => (from === undefined ? context : rootOf(from)));
    if (name === 'RUN') runInside(root, ['sh', '-c', text], { folder, environment });
  }
}

/** @param folder that paths are relative to in the container */
function copy(text: string, folder: string, root: string, sourceOf: (stage?: string) => string): void {
  const words = text.split(/\s+/);
  const [, from] = /^--from=(.*)/.exec(words[0] ?? '') ?? [];
  const source = sourceOf(from);
  const target = join(root, resolve(folder, words.at(-1) ?? ''));
  mkdirSync(target, { recursive: true });
  for (const word of words.slice(from === undefined ? 0 : 1, -1)) {
    const path = join(source, word);
    // Of a folder, COPY takes the contents.
    const isFolder = statSync(path).isDirectory();
    run('cp', ['-a', isFolder ? `${path}/.` : path, target]);
  }
}

/** Copies the files of a project that `.dockerignore` leaves: a list of names after `*`, each with `!`. */
export function copyContext(project: string, context: string): void {
  const [all, ...kept] = readFileSync(join(project, '.dockerignore'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  if (all !== '*' || kept.some((line) => !/^![\w.-]+$/.test(line))) throw new Error('.dockerignore has another form');
  mkdirSync(context, { recursive: true });
  for (const name of readdirSync(project).filter((each) => kept.includes(`!${each}`)))
    run('cp', ['-a', join(project, name), context]);
}

interface Inside {
  readonly folder: string;
  readonly environment: Readonly<Record<string, string>>;
}

/** Runs a command as root in a folder as its root, with processes and mounts of its own, as `RUN` does. */
function runInside(root: string, command: readonly string[], { folder, environment }: Inside): void {
  const script = `
    mount --make-rprivate / && mount --bind "$0" "$0" && mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev"
    touch "$0/etc/resolv.conf" "$0/tmp/certificates"
    mount --bind /etc/resolv.conf "$0/etc/resolv.conf" && mount --bind ${CERTIFICATES} "$0/tmp/certificates"
    exec chroot "$0" env -C "$@"`;
  const own = { PATH, HOME: '/root', DEBIAN_FRONTEND: 'noninteractive', NODE_EXTRA_CA_CERTS: '/tmp/certificates' };
  const variables = Object.entries({ ...own, ...environment });
  const args = ['-i', ...variables.map(([name, value]) => `${name}=${value}`), ...command];
  run('unshare', ['--mount', '--pid', '--fork', '--kill-child', 'sh', '-euc', script, root, folder, ...args]);
}

/** Starts a container as `docker run --read-only --cap-drop ALL --security-opt no-new-privileges` does, on this machine's network. */
export function startContainer(
  image: Stage,
  root: string,
  options: { volume: string; environment: Record<string, string> },
): ChildProcess {
  const script = `
    mount --make-rprivate / && mount --bind "$0" "$0" && mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev"
    mount --bind "$1" "$0${lastOf(image, 'VOLUME')}" && mount -o remount,bind,ro "$0" && shift
    exec chroot "$0" "$@"`;
  const command = [...commandOf(lastOf(image, 'ENTRYPOINT')), ...commandOf(lastOf(image, 'CMD'))];
  const inside = asUser(image, command, options.environment);
  const namespaces = ['--mount', '--pid', '--fork', '--kill-child', '--ipc'];
  return spawn('unshare', [...namespaces, 'sh', '-euc', script, root, options.volume, ...inside], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** Runs a command in a container that runs, as `docker exec` does, and returns its output. @throws Error if it fails */
export function runInContainer(
  image: Stage,
  root: string,
  options: { pid: number; command: readonly string[]; environment: Record<string, string> },
): string {
  const inside = asUser(image, options.command, options.environment);
  const enter = ['--target', `${options.pid}`, '--mount', '--pid', 'chroot', root];
  return execFileSync('nsenter', [...enter, ...inside], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/** The command with the environment, the folder and the user of the image, and without any right of root. */
function asUser(image: Stage, command: readonly string[], environment: Record<string, string>): string[] {
  const user = lastOf(image, 'USER') ?? 'root';
  const variables = Object.entries({ PATH, ...environmentOfStage(image), ...environment });
  return [
    ...['env', '-C', lastOf(image, 'WORKDIR') ?? '/', '-i', ...variables.map(([name, value]) => `${name}=${value}`)],
    ...['setpriv', `--reuid=${user}`, `--regid=${user}`, '--clear-groups', '--no-new-privs'],
    ...['--bounding-set=-all', '--inh-caps=-all', ...command],
  ];
}
