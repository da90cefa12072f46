// `npm run release -- 0.2.0` names a version: in package.json, the lock file and CHANGELOG.md, where it gets what is under
// "Unreleased"; it commits this with the tag v0.2.0. Then, as `npm run release` alone does, it makes what is published of the version,
// in `release/`: the package, its bill of materials (CycloneDX), and their checksums. The same commit gives the same package.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'release');
const CHANGELOG = join(root, 'CHANGELOG.md');
const UNRELEASED = '\n## [Unreleased]\n';

if (output('git', ['status', '--porcelain']) !== '') stop('Commit all changes first: a release is made of a commit.');
const [wanted] = process.argv.slice(2);
if (wanted !== undefined) nameVersion(wanted);
const { name, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
if (!readFileSync(CHANGELOG, 'utf8').includes(`\n## [${version}]`)) {
  stop(`CHANGELOG.md has no section "## [${version}]". To name a version there, run: npm run release -- ${version}`);
}

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder);
output('npm', ['pack', '--silent', '--pack-destination', folder]);
const bill = output(
  'npm',
  'sbom --package-lock-only --omit dev --sbom-format cyclonedx --sbom-type application'.split(' '),
);
writeFileSync(join(folder, `${name}-${version}.cdx.json`), bill);
const sums = readdirSync(folder).map((file) => `${sha256Of(join(folder, file))}  ${file}\n`);
writeFileSync(join(folder, 'SHA256SUMS'), sums.join(''));
console.log(sums.join('').trimEnd());

/** Changes, commits and tags. Nothing is changed if the version can't be released. */
function nameVersion(next) {
  if (!/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(next)) stop(`"${next}" is no version. Name it as 0.2.0.`);
  if (output('git', ['tag', '--list', `v${next}`]) !== '') stop(`There is a tag v${next} already.`);
  const changelog = readFileSync(CHANGELOG, 'utf8');
  const start = changelog.indexOf(UNRELEASED) + UNRELEASED.length;
  const [changes] = changelog.slice(start).split('\n## [');
  if (!changelog.includes(UNRELEASED) || changes.trim() === '') {
    stop('CHANGELOG.md has nothing under "## [Unreleased]", so there is nothing to release.');
  }
  output('npm', ['version', next, '--no-git-tag-version', '--allow-same-version', '--ignore-scripts']);
  addRepository();
  const heading = `\n## [${next}] - ${new Date().toISOString().slice(0, 10)}\n`;
  writeFileSync(CHANGELOG, changelog.replace(UNRELEASED, `${UNRELEASED}${heading}`));
  output('git', ['commit', '--quiet', '--all', '--message', `chore: release ${next}`]);
  output('git', ['tag', '--annotate', '--message', `trainyard ${next}`, `v${next}`]);
}

/** Until a release, the project has no public address. The package of a release names the one that it comes from. */
function addRepository() {
  const path = join(root, 'package.json');
  const manifest = JSON.parse(readFileSync(path, 'utf8'));
  const remote = output('git', ['remote', 'get-url', '--all', '--', 'origin'], { mayFail: true }).split('\n')[0];
  const [, host, repository] = /^(?:https:\/\/|ssh:\/\/git@|git@)([\w.-]+)[:/](.+?)(?:\.git)?\/?$/.exec(remote) ?? [];
  if (host === undefined || manifest.repository !== undefined) return;
  const page = `https://${host}/${repository}`;
  manifest.repository = { type: 'git', url: `git+${page}.git` };
  manifest.homepage = `${page}#readme`;
  manifest.bugs = `${page}/issues`;
  writeFileSync(path, `${JSON.stringify(manifest, null, 2)}\n`);
}

function output(command, args, { mayFail = false } = {}) {
  const { status, stdout } = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
    stdio: ['ignore', 'pipe', mayFail ? 'ignore' : 'inherit'],
  });
  if (status === 0) return stdout;
  if (mayFail) return '';
  return stop(`${command} ${args.join(' ')} failed.`);
}

function sha256Of(path) {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}

function stop(reason) {
  console.error(reason);
  process.exit(65);
}
