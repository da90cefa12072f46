import { execFile } from 'node:child_process';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { folderWith } from './harness/folder.js';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** A repository with the files that a release reads, and the build of this folder. */
async function repository() {
  const folder = await folderWith({});
  const git = (...args: string[]) =>
    run('git', ['-c', 'user.name=t', '-c', 'user.email=t@t', ...args], { cwd: folder });
  await git('init', '--quiet');
  for (const each of ['package.json', 'package-lock.json', 'scripts', 'dist']) {
    await cp(join(ROOT, each), join(folder, each), { recursive: true });
  }
  await writeFile(join(folder, 'CHANGELOG.md'), '# Changelog\n\n## [Unreleased]\n\n### Added\n\n- Mounting.\n');
  await writeFile(join(folder, '.gitignore'), 'dist\nrelease\n');
  const author = { GIT_AUTHOR_NAME: 't', GIT_AUTHOR_EMAIL: 't@t', GIT_COMMITTER_NAME: 't', GIT_COMMITTER_EMAIL: 't@t' };
  const env = { ...process.env, ...author };
  const commit = async () => {
    await git('add', '--all');
    await git('commit', '--quiet', '--message', 'test: a commit');
  };
  await commit();
  return {
    folder,
    git,
    commit,
    release: (...args: string[]) => run(process.execPath, ['scripts/release.js', ...args], { cwd: folder, env }),
  };
}

const refused = (ended: Promise<unknown>, message: string) =>
  expect(ended).rejects.toMatchObject({ code: 65, stderr: expect.stringContaining(message) });

const PUBLIC = 'git@code.example:yard/trainyard.git';

test('a release names its version, and has the package, its parts and checksums', { tags: ['long'] }, async () => {
  const { folder, git, commit, release } = await repository();
  const read = (name: string) => readFile(join(folder, name), 'utf8');
  await refused(release(), 'CHANGELOG.md has no section');
  await refused(release('next'), 'Name it as 0.2.0');
  await writeFile(join(folder, 'new'), '');
  await refused(release('0.2.0'), 'Commit all changes first');
  await commit();
  await git('remote', 'add', 'origin', PUBLIC);

  await release('0.2.0');
  const made = join(folder, 'release');
  const { stdout } = await run('sha256sum', ['--check', 'SHA256SUMS'], { cwd: made });
  expect(stdout.trim().split('\n').sort()).toEqual(['trainyard-0.2.0.cdx.json: OK', 'trainyard-0.2.0.tgz: OK']);
  const packed = await run('tar', ['-tzf', 'trainyard-0.2.0.tgz'], { cwd: made });
  expect(packed.stdout).toContain('package/dist/cli/main.js');
  const bill = JSON.parse(await read('release/trainyard-0.2.0.cdx.json'));
  const names = bill.components.map(({ name }: { name: string }) => name);
  expect(names).toEqual(expect.arrayContaining(['fastify', 'sharp', '@photostructure/sqlite']));
  expect(names).not.toContain('vitest');

  expect(JSON.parse(await read('package.json'))).toMatchObject({
    version: '0.2.0',
    repository: { type: 'git', url: 'git+https://code.example/yard/trainyard.git' },
    homepage: 'https://code.example/yard/trainyard#readme',
    bugs: 'https://code.example/yard/trainyard/issues',
  });
  const lock = { version: '0.2.0', packages: { '': { version: '0.2.0' } } };
  expect(JSON.parse(await read('package-lock.json'))).toMatchObject(lock);
  expect(await read('CHANGELOG.md')).toMatch(/\n## \[Unreleased\]\n\n## \[0\.2\.0\] - \d{4}-\d\d-\d\d\n\n### Added\n/);
  expect((await git('status', '--porcelain')).stdout).toBe('');
  expect((await git('describe', '--exact-match')).stdout.trim()).toBe('v0.2.0');

  // The same commit gives the same package.
  const sums = await read('release/SHA256SUMS');
  await release();
  const packageSum = (text: string) => text.split('\n').find((line) => line.endsWith('.tgz'));
  expect(packageSum(await read('release/SHA256SUMS'))).toBe(packageSum(sums));
  await refused(release('0.2.0'), 'a tag v0.2.0 already');
  await refused(release('0.3.0'), 'nothing to release');
});
