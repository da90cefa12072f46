// What `npm start` and `npm test` do first: install what the lock file names and build, each only where it is not done
// yet. Plain JavaScript without dependencies, since it runs before there are any.
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(`trainyard needs Node 20.19 or later; this is ${process.versions.node}.`);
  process.exit(78);
}

const INSTALLED = join(root, 'node_modules', '.package-lock.json');
const BUILT = join(root, 'dist', '.built');

if (isOlder(INSTALLED, [join(root, 'package-lock.json')])) {
  console.error('trainyard: installing dependencies …');
  run('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
  const now = new Date();
  utimesSync(INSTALLED, now, now);
}
if (
  isOlder(BUILT, [
    ...filesBelow(join(root, 'src')),
    ...filesBelow(join(root, 'web')),
    join(root, 'tsconfig.build.json'),
    INSTALLED,
  ])
) {
  console.error('trainyard: building …');
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  run('npm', ['run', '--silent', 'build']);
  writeFileSync(BUILT, '');
}
// `npx trainyard` runs it as a program. It sees to that itself the first time, and not after another build.
chmodSync(join(root, 'dist', 'cli', 'main.js'), 0o755);

function run(command, args) {
  try {
    execFileSync(command, args, { cwd: root, stdio: ['ignore', process.stderr, 'inherit'] });
  } catch (error) {
    process.exit(error.status || 1);
  }
}

function isOlder(product, sources) {
  if (!existsSync(product)) return true;
  const made = statSync(product).mtimeMs;
  return sources.some((source) => statSync(source).mtimeMs > made);
}

function filesBelow(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
