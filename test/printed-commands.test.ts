import { execFile } from 'node:child_process';
import { chmod, cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { addJobsCommand } from '../src/cli/commands/installation/jobs.js';
import { addTransferCommands } from '../src/cli/commands/installation/transfer.js';
import { addVerifyStoreCommand } from '../src/cli/commands/installation/verify-store.js';
import { addServeCommand } from '../src/cli/commands/serve.js';
import { addTokenCommands } from '../src/cli/commands/token.js';
import { addCommands, remoteCommands } from '../src/cli/program.js';
import { TrainyardClient } from '../src/client/client.js';
import { documentPaths } from './documents/documents.js';
import type { Api } from './harness/api.js';
import { startBrowser, whyNoBrowser } from './harness/browser.js';
import { type Ended, trainyard } from './harness/command.js';
import { editPairsOf, imagesOf, pairsOf } from './harness/folder.js';
import { type Receiver, startReceiver } from './harness/receiver.js';
import { type DialectServer, startDialectServer } from './harness/dialect-server.js';
import { COMMAND, discardServer, startServer, type TestServer, temporaryFolder } from './harness/server.js';
import { zipOf } from './hostile/zip.js';
import { filesToFix, pageCommands } from './web/page-commands.js';

/*
 * The commands that the README, the docs, the help texts and the page print are run, in a folder and beside a service such as
 * their reader has: the first example of each, and all of them in the long test. Every one exists, with options that exist.
 */

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const NOT_RUN = [
  // Other machines, a service that would run until it is stopped, and a catalog that is not the reader's.
  /postgres:\/\/|s3:\/\/|trainyard (serve|restore|migrate-data)\b|--watch|--skip-damaged/,
  // They ask a person.
  /asks (first|for the token)/,
  // It needs the proposal of a model: test/cli/caption.test.ts.
  /red\.jpg --accept/,
] as const;

/** What the examples name, and what it is called here. */
type Names = readonly (readonly [RegExp, string])[];

let server: TestServer;
let api: Api;
let pageApi: Api;
let client: TrainyardClient;
let home: string;
/** Takes the events of webhooks. */
let receiver: Receiver;
/** Writes captions. */
let model: DialectServer;
let helpOf: ReadonlyMap<string, string> = new Map();
const noBrowser = whyNoBrowser();
/** Each with the page that shows it; none without a browser. */
let onPage: ReadonlyMap<string, string> = new Map();

beforeAll(async () => {
  model = await startDialectServer('llama.cpp');
  const captioning = { 'caption-endpoint': `local=${model.url}` };
  server = await startServer({ 'caption-grace-seconds': 0, 'webhook-allow': '127.0.0.1', ...captioning });
  api = await server.api();
  client = new TrainyardClient({ baseUrl: server.url, token: api.token });
  receiver = await startReceiver();
  const pairs = await pairsOf(3);
  const picture = pairs['01.jpg'] as Buffer;
  const captioned = { '01.jpg': picture, 'metadata.csv': 'file_name,text,short\n01.jpg,a red wagon,red\n' };
  const wagon = { '01.jpg': picture, '01.txt': 'wagon 1', '01.caption': 'A wagon.' };
  home = await temporaryFolder();
  const files = {
    ...below('photos', pairs),
    'photos/03_new.jpg': pairs['03.jpg']!,
    'photos/03_new.txt': pairs['03.txt']!,
    ...below('edits', await editPairsOf(2, ['control', 'mask'])),
    ...below('depth', await imagesOf(2)),
    ...below('fix', await filesToFix()),
    'wagons.zip': zipOf(Object.entries(wagon).map(([name, bytes]) => ({ name, bytes }))),
    'table.csv': 'file_name,text\nphotos_01.jpg,wagon 1\n',
    ...below('kohya/10_red wagon', captioned),
    ...below('hf-export', captioned),
    token: api.token,
  };
  for (const [path, bytes] of Object.entries(files)) {
    await mkdir(dirname(join(home, path)), { recursive: true });
    await writeFile(join(home, path), bytes);
  }
  await mkdir(join(home, 'bin'));
  await symlink(COMMAND, join(home, 'bin', 'trainyard'));
  await script('npx', '[ "$1" = --yes ] && shift\nshift\nexec trainyard "$@"');
  for (const trainer of ['python', 'jq', 'xdg-open']) await script(trainer, '[ -t 0 ] || cat >/dev/null\nexit 0');
  await script('npm', 'exec curl -fsS -o /dev/null "$3"');
  helpOf = await readHelp();
  if (noBrowser !== undefined) return;
  const browser = await startBrowser();
  // An account of its own: examples delete and rename the datasets of the other.
  pageApi = await server.api('a reader of the page');
  onPage = await pageCommands(browser, server, pageApi);
  await browser.close();
});
afterAll(async () => {
  await receiver.close();
  await discardServer(server);
  await model.close();
  await rm(home, { recursive: true, force: true });
});

/** Files in a folder, by their paths. */
const below = (folder: string, files: Record<string, Buffer | string>) =>
  Object.fromEntries(Object.entries(files).map(([name, bytes]) => [`${folder}/${name}`, bytes]));

function script(name: string, text: string): Promise<void> {
  const path = join(home, 'bin', name);
  return writeFile(path, `#!/bin/sh\n${text}\n`).then(() => chmod(path, 0o755));
}

/** Makes what examples name, unless it exists: they also remove it. @returns what it is called here */
async function prepare(): Promise<Names> {
  const ids = new Map((await client.list()).map(({ name, id }) => [name, id]));
  const renamed = ids.get('Red railway');
  if (renamed !== undefined) await client.remove(renamed);
  for (const name of ['railway', 'photos']) {
    const id = ids.get(name);
    if (id !== undefined) await client.pairs.setLinks(id, {});
  }
  for (const name of ['railway-depth', 'railway-edges', 'railway-mask', 'depth', 'masks']) {
    const role = name.includes('mask') ? 'mask' : 'control';
    const existing = ids.get(name);
    if (existing !== undefined) await client.datasets.change(existing, { role });
    if (existing !== undefined) continue;
    const { id } = await client.create(name, { role });
    for (const [file, bytes] of Object.entries(await imagesOf(2))) await api.upload(id, `railway_${file}`, bytes);
  }
  for (const name of ['railway', 'wagons', 'photos']) {
    if (ids.has(name)) continue;
    const { id } = await client.create(name);
    ids.set(name, id);
    for (const [file, bytes] of Object.entries(await pairsOf(2))) await api.upload(id, `${name}_${file}`, bytes);
    // Examples name the twelfth revision.
    for (let i = 0; name !== 'photos' && i < 11; i++) await api.upload(id, `${name}_01.txt`, `caption ${i}`);
  }
  const wagons = ids.get('wagons')!;
  const [share = await client.shares.make(wagons)] = await client.shares.list(wagons);
  const webhooks = await client.webhooks.list();
  const webhook = webhooks.find(({ url }) => url === receiver.url) ?? (await client.webhooks.add(receiver.url));
  if (!webhook.enabled) await client.webhooks.change(webhook.id, { enabled: true });
  const [delivery = await client.webhooks.test(webhook.id)] = await client.webhooks.deliveries(webhook.id);
  const { digest } = await client.manifest(ids.get('railway')!);
  const tokens = await client.tokens.list();
  const token = tokens.find(({ name }) => name === SPARE) ?? (await client.tokens.make({ name: SPARE }));
  return [
    [/https?:\/\/((127\.0\.0\.1|SERVER|HOST):8787|data\.example)/g, server.url],
    [/\bexamples\/railway\b/g, join(ROOT, 'examples/railway')],
    [/\bmistake\b/g, 'photos'],
    // An export writes it too, and replaces no file.
    [/import photos\.csv/g, 'import table.csv photos'],
    [/\/workspace\/datasets|\/app\/ai-toolkit\/datasets/g, 'datasets'],
    [/(\.\/data|\/srv\/trainyard)\b/g, server.dataFolder],
    [/\/mnt\/nas\/trainyard/g, 'backup'],
    [/--digest \S+/g, `--digest ${digest}`],
    [/token revoke \S+/g, `token revoke ${token.id}`],
    [/--revoke \S+/g, `--revoke ${share.id}`],
    [/< token\b/g, `< ${home}/token`],
    [/(webhook \w+) (ID|3f9a1c02)\b/g, `$1 ${webhook.id}`],
    [/(webhook resend \S+) \S+/g, `$1 ${delivery.id}`],
  ];
}

/** The token that the example of `token revoke` revokes. */
const SPARE = 'spare';

/** Every command line that a reader sees, without what explains it. */
async function printedLines(): Promise<Map<string, string>> {
  const lines = new Map<string, string>();
  for (const path of documentPaths()) {
    for (const [, block = ''] of (await readFile(join(ROOT, path), 'utf8')).matchAll(/^ *```sh\n(.*?)```/gms)) {
      for (const line of block.split('\n'))
        if (/^(npx (--yes \S+ )?)?trainyard /.test(line.trim())) lines.set(line.trim(), path);
    }
  }
  for (const [command, help] of helpOf) {
    for (const [, line = ''] of help.matchAll(/\$ (trainyard .*)/g)) lines.set(line, `${command} --help`);
  }
  return lines;
}

/** The help texts of all commands, by name. */
async function readHelp(): Promise<Map<string, string>> {
  const program = new Command('trainyard');
  const parts = { openDataFolder: () => Promise.reject(new Error('Nothing is run.')) };
  await addCommands(program, '', remoteCommands({ ...parts, loadVerify: async () => addVerifyStoreCommand }));
  for (const add of [addServeCommand, addTokenCommands, addTransferCommands, addJobsCommand]) add(program);
  const helps = new Map([['trainyard', (await trainyard(['--help'])).stdout]]);
  const read = (command: Command, name: string) => {
    const written: string[] = [];
    command.configureOutput({ writeOut: (text) => void written.push(text) }).outputHelp();
    helps.set(name, written.join(''));
    for (const below of command.commands) read(below, `${name} ${below.name()}`);
  };
  for (const command of program.commands) read(command, `trainyard ${command.name()}`);
  return helps;
}

/** The line as it is run: names as they are here, without comments and explanations. */
function runnable(line: string, names: Names): string {
  const command = line.replace(/\s#\s.*$/, '').replace(/ {2,}\S.*$/, '');
  return names.reduce((text, [pattern, name]) => text.replace(pattern, name), command);
}

function run(line: string, cwd: string, { token } = api): Promise<Pick<Ended, 'code' | 'stdout' | 'stderr'>> {
  const env = {
    PATH: `${join(home, 'bin')}:${process.env.PATH}`,
    XDG_CONFIG_HOME: join(cwd, 'config'),
    TRAINYARD_URL: server.url,
    TRAINYARD_TOKEN: token,
    TRAINYARD_DATA: server.dataFolder,
  };
  return new Promise((resolve) => {
    execFile('sh', ['-c', line], { cwd, env }, (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error ? 128 : 0, stdout, stderr });
    }).stdin?.end(token);
  });
}

/** The line as after an installation: the page names the package that the service serves. */
function installed([line, where]: readonly [string, string]): readonly [string, string] {
  return [line.replace(/^npx --yes \S+\/cli\S*\.tgz /, 'trainyard '), where];
}

/** The longest name of a command at the start of the line. */
function commandOf(line: string): string {
  const words = line.replace(/^npx (--yes \S+ )?/, '').split(/ +/);
  const below = words.slice(0, 3).join(' ');
  return helpOf.has(below) ? below : words.slice(0, 2).join(' ');
}

const isOurs = ([line]: readonly [string, string]) => /^(npx (--yes \S+ )?)?trainyard /.test(line);

describe('every command that is printed', () => {
  test('exists, and has the options that it is given', async () => {
    const unknown: string[] = [];
    for (const [line, where] of [...(await printedLines()), ...onPage].map(installed).filter(isOurs)) {
      const help = helpOf.get(commandOf(line));
      const [own = ''] = line.split(/--exec |\s#\s| \|/);
      const flags = (own.match(/(?<= )--[a-z-]+/g) ?? []).filter((flag) => !flag.includes('yes'));
      for (const word of help === undefined ? [line] : flags.filter((flag) => !help.includes(flag))) {
        unknown.push(`${where}: ${word} in ${line}`);
      }
    }
    expect(unknown).toEqual([]);
  });

  /** The lines of documents and help texts that can be tried here. */
  const linesToRun = async () =>
    [...(await printedLines())].filter(([line]) => !NOT_RUN.some((pattern) => pattern.test(line)));

  async function expectToWork(lines: readonly (readonly [string, string])[]): Promise<void> {
    const failed: string[] = [];
    for (const [line, where] of lines) {
      const cwd = await temporaryFolder();
      for (const folder of ['photos', 'edits', 'depth', 'kohya', 'hf-export', 'wagons.zip', 'table.csv'])
        await cp(join(home, folder), join(cwd, folder), { recursive: true });
      const command = runnable(line, await prepare());
      const { code, stdout, stderr } = await run(command, cwd);
      if (code !== 0) failed.push(`${where}: ${line}\n  ran as: ${command}\n  ended with ${code}: ${stdout}${stderr}`);
      await rm(cwd, { recursive: true });
    }
    expect(failed.join('\n')).toBe('');
  }

  test('does what it says: the first example of each command', async () => {
    const lines = (await linesToRun()).map((entry) => [commandOf(installed(entry)[0]), entry] as const);
    const first = new Map(lines.toReversed());
    expect(first.size).toBeGreaterThan(20);
    await expectToWork([...first.values()]);
  });

  test('does what it says: each example', { tags: ['long'] }, async () => {
    await expectToWork(await linesToRun());
  });

  const title = `does what it says where the page prints it${noBrowser === undefined ? '' : `, left out: ${noBrowser}`}`;
  test.skipIf(noBrowser !== undefined)(title, async () => {
    const lines = [...onPage.keys()];
    for (const part of ['npm i -g', ' login ', ' push photos', ' mount ', ' --fix', 'tar -x', 'sh -s --']) {
      expect([part, lines.some((line) => line.includes(part))]).toEqual([part, true]);
    }
    const unpack = lines.find((line) => line.includes('tar -x'));
    const failed: string[] = [];
    for (const [line, where] of onPage) {
      const cwd = await temporaryFolder();
      for (const folder of ['photos', 'fix']) await cp(join(home, folder), join(cwd, folder), { recursive: true });
      const own = line.replace(/\bFOLDER\b/, 'fix').replaceAll('/workspace/datasets', 'datasets');
      // It checks what the line before it has unpacked.
      const isVerifying = line.includes('sha256sum');
      const command = isVerifying ? `${unpack?.replaceAll('/workspace/datasets', 'datasets')} && ${own}` : own;
      const { code, stdout, stderr } = await run(command, cwd, pageApi);
      if (code !== 0) failed.push(`${where}: ${command}\n  ended with ${code}: ${stdout}${stderr}`);
      if (isVerifying) expect(stdout).toContain('intact');
      await rm(cwd, { recursive: true });
    }
    expect(failed.join('\n')).toBe('');
  });
});
