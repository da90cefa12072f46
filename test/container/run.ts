// `npm run container`: builds the image as the Dockerfile says and serves from it, where no container engine can be had. For root on
// Debian with `debootstrap`; it takes minutes. Not like an engine: layers, a registry, the network, seccomp and cgroups.
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort } from '../harness/free-port.js';
import { commandOf, lastOf, stagesOf } from './dockerfile.js';
import { buildStage, copyContext, makeBase, run, runInContainer, startContainer } from './image.js';

const PROJECT = fileURLToPath(new URL('../..', import.meta.url));

if (process.getuid?.() !== 0 || spawnSync('debootstrap', ['--version']).status !== 0) {
  console.error('This needs root, and debootstrap: apt install debootstrap');
  process.exit(78);
}
// Programs of the image are run from it, so it can't be where programs are not allowed.
const work = mkdtempSync('/var/tmp/trainyard-container-');
process.once('exit', () => rmSync(work, { recursive: true, force: true }));

const stages = stagesOf(readFileSync(join(PROJECT, 'Dockerfile'), 'utf8'));
const rootOf = (stage: string) => join(work, stage);
copyContext(PROJECT, join(work, 'context'));
for (const { base } of new Map(stages.map((stage) => [stage.base, stage])).values()) makeBase(base, join(work, 'base'));
for (const stage of stages) {
  const root = rootOf(stage.name ?? 'image');
  run('cp', ['-a', join(work, 'base'), root]);
  buildStage(stage, root, join(work, 'context'), rootOf);
}

const image = stages.at(-1);
if (image === undefined) throw new Error('The Dockerfile has no stage');
const root = rootOf('image');
const data = join(work, 'data');
mkdirSync(data, { mode: 0o700 });
run('chown', ['1000:1000', data]);
// All containers here share the network of this machine.
const port = await freePort();
const url = `http://127.0.0.1:${port}`;
const environment = { TRAINYARD_PORT: `${port}` };
const container = startContainer(image, root, { volume: data, environment });
let output = '';
for (const stream of [container.stdout, container.stderr]) {
  stream?.on('data', (chunk: Buffer) => {
    output += chunk;
    process.stdout.write(chunk);
  });
}
const ended = once(container, 'exit');
while (!output.includes('documentation at')) {
  if (container.exitCode !== null) throw new Error('The container ended before it served');
  await once(container.stdout!, 'data');
}
const first = execFileSync('pgrep', ['--parent', `${container.pid}`], { encoding: 'utf8' });
const pid = Number(first.trim());
const inside = (...command: string[]) => runInContainer(image, root, { pid, command, environment }).trim();

expectEqual('the user', inside('id', '-u'), '1000');
const written = inside('sh', '-c', 'touch /app/x 2>&1; true').replace(/.*: /, '');
expectEqual('writing outside of /data', written, 'Read-only file system');
const capabilities = inside('sh', '-c', 'grep CapBnd /proc/1/status').replace(/\W+/, ' ');
expectEqual('capabilities', capabilities, 'CapBnd 0000000000000000');
inside(...commandOf(lastOf(image, 'HEALTHCHECK')));
console.log('the health check passes');
const created = inside('trainyard', 'token', 'create', '--account', 'container');
const token = created.split(/\s+/).find((word) => word.startsWith('ty_'));
const client = (...args: string[]) =>
  execFileSync(process.execPath, [join(PROJECT, 'dist/cli/main.js'), ...args], {
    encoding: 'utf8',
    env: { ...process.env, TRAINYARD_URL: url, TRAINYARD_TOKEN: token },
  });
console.log(client('push', join(PROJECT, 'examples/railway')));
const { status, warnings } = JSON.parse(client('status', 'railway', '--json'));
expectEqual('the status of an example with a clip', status, 'READY');
// A clip that was not decoded would have one more.
expectEqual('warnings', warnings.map(({ code }: { code: string }) => code).join(), 'MIXED_MEDIA');
const page = await fetch(url).then((answer) => answer.text());
expectEqual('the page', page.includes('<div id="root">'), true);

process.kill(pid, lastOf(image, 'STOPSIGNAL') as NodeJS.Signals);
const [code] = await ended;
expectEqual('exit code after STOPSIGNAL', code, 0);
const sized = [join(work, 'base'), root, join(root, 'app/node_modules'), join(root, 'app/dist')];
run('du', ['--summarize', '--human-readable', ...sized]);
console.log('passed');

function expectEqual(name: string, actual: unknown, expected: unknown): void {
  console.log(`${name}: ${actual}`);
  if (actual !== expected) throw new Error(`${name}: expected ${expected}`);
}
