// Runs before `npm start` and `npm test`. Installs the dependencies if package-lock.json is newer than they are, and builds if a
// source is newer than the build. It is plain JavaScript, since no dependency is installed yet.
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
  // No package runs code of its own here: what the service needs is prebuilt in the packages.
  run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']);
  const now = new Date();
  utimesSync(INSTALLED, now, now);
}
if (
  isOlder(BUILT, [
    ...filesBelow(join(root, 'src')),
    ...filesBelow(join(root, 'web')),
    join(root, 'tsconfig.build.json'),
    join(root, 'package.json'),
    ...['bundle.js', 'build-programs.js', 'build-cli-package.js'].map((name) => join(root, 'scripts', name)),
    INSTALLED,
  ])
) {
  console.error('trainyard: building …');
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  run('npm', ['run', '--silent', 'build']);
  writeFileSync(BUILT, '');
}
// `npx trainyard` needs an executable file. npm sets the mode when it links the package, but not after another build.
chmodSync(join(root, 'dist', 'cli', 'main.js'), 0o755);

function run(command, args) {
  try {
    execFileSync(command, args, { cwd: root, stdio: ['ignore', process.stderr, 'inherit'] });
  } catch (error) {
    process.exit(error.status || 1);
  }
}

function isOlder(target, sources) {
  if (!existsSync(target)) return true;
  const builtAt = statSync(target).mtimeMs;
  return sources.some((source) => statSync(source).mtimeMs > builtAt);
}

function filesBelow(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
