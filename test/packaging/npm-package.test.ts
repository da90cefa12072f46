import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { loggedPort, temporaryFolder } from '../harness/server.js';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

// The registry is fetched from, and the disk of a busy machine takes its time for 10,000 files.
const INSTALL_MS = 300_000;

test('the package installs without running code of packages, and serves from an empty folder', {
  timeout: INSTALL_MS,
}, async () => {
  const folder = await temporaryFolder();
  try {
    const pack = await run('npm', ['pack', '--silent', '--pack-destination', folder], { cwd: ROOT });
    const filename = pack.stdout.trim();
    const listed = await run('tar', ['-tzf', filename], { cwd: folder });
    const paths = listed.stdout.split('\n').map((path) => path.replace('package/', ''));
    const needed = ['dist/cli/main.js', 'dist/client/client.d.ts', 'dist/web/index.html', 'LICENSE', 'README.md'];
    for (const path of [...needed, 'packaging/trainyard.service', 'docs/installing.md']) expect(paths).toContain(path);
    expect(paths.filter((path) => /\.map$|^docs\/images|^(src|test|web|bench)\//.test(path))).toEqual([]);

    const prefix = join(folder, 'global');
    const install = ['install', '--global', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'];
    const installed = await run('npm', [...install, '--prefix', prefix, join(folder, filename)], { cwd: folder });
    // npm does not read a lock file here, and takes the newest versions that dependencies of dependencies allow.
    expect(installed.stderr).not.toContain('EBADENGINE');
    const command = join(prefix, 'bin/trainyard');
    expect((await run(command, ['--version'])).stdout.trim()).toBe(/-(.*)\.tgz$/.exec(filename)?.[1]);

    const empty = join(folder, 'empty');
    await mkdir(empty);
    const server = spawn(command, ['serve', '--port', '0', '--json'], {
      cwd: empty,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    try {
      let log = '';
      server.stderr.on('data', (chunk) => {
        log += chunk;
      });
      const ended = once(server, 'exit').then(() => Promise.reject(new Error(`the server ended:\n${log}`)));
      const [start] = await Promise.race([once(server.stdout, 'data'), ended]);
      ended.catch(() => {});
      const { token } = JSON.parse(String(start));
      await expect.poll(() => loggedPort(log)).toBeDefined();
      const url = `http://127.0.0.1:${loggedPort(log)}`;
      expect(await fetch(url).then((page) => page.text())).toContain('<div id="root">');
      const env = { ...process.env, TRAINYARD_URL: url, TRAINYARD_TOKEN: token };
      const example = join(prefix, 'lib/node_modules/trainyard/examples/railway');
      expect((await run(command, ['push', example, '--json'], { env, cwd: empty })).stdout).toContain('"READY"');
      expect(await readdir(empty)).toEqual(['data']);
    } finally {
      server.kill();
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
