import { execFile, spawn, spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { folderWith } from '../harness/folder.js';
import { freePort } from '../harness/free-port.js';
import { discardServer, eventually, startServer } from '../harness/server.js';

const run = promisify(execFile);

/** A block of docs/installing.md. */
async function documented(language: string): Promise<string> {
  const page = await readFile(new URL('../../docs/installing.md', import.meta.url), 'utf8');
  return new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``).exec(page)?.[1] ?? '';
}

const PROXIES = {
  nginx: {
    version: '-v',
    scheme: 'https',
    command: (config: string) => ['nginx', '-e', 'stderr', '-c', config],
    configuration: (block: string, folder: string, port: number) => `
      daemon off; pid ${folder}/pid; events {} error_log stderr;
      http { access_log off; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
        fastcgi_temp_path ${folder}/1; uwsgi_temp_path ${folder}/2; scgi_temp_path ${folder}/3;
        ${block
          .replace('listen 443', `listen 127.0.0.1:${port}`)
          .replaceAll(/\/etc\/ssl\/data\.example\.net\.(pem|key)/g, `${folder}/$1`)} }`,
  },
  caddy: {
    version: 'version',
    scheme: 'http',
    command: (config: string) => ['caddy', 'run', '--adapter', 'caddyfile', '--config', config],
    configuration: (block: string, _: string, port: number) =>
      `{\n admin off\n}\n${block.replace('data.example.net', `http://127.0.0.1:${port}`)}`,
  },
};

test.each(['nginx', 'caddy'] as const)('%s as documented passes large bodies on', async (name) => {
  const proxy = PROXIES[name];
  // Caddy is not among the tools of the checks of a commit.
  if (spawnSync(name, [proxy.version]).status !== 0 && (name === 'caddy' || process.env.CI !== 'true')) return;
  const folder = await folderWith({});
  const server = await startServer({ 'trusted-proxies': '127.0.0.1', 'caption-grace-seconds': 0 });
  onTestFinished(() => discardServer(server));
  const port = await freePort();
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1'];
  await run('openssl', [...request, '-subj', '/CN=127.0.0.1', '-keyout', `${folder}/key`, '-out', `${folder}/pem`]);
  const block = (await documented(name === 'nginx' ? 'nginx' : 'caddy')).replace(
    '127.0.0.1:8787',
    new URL(server.url).host,
  );
  await writeFile(join(folder, 'config'), proxy.configuration(block, folder, port));
  const [program = '', ...args] = proxy.command(join(folder, 'config'));
  const child = spawn(program, args, { stdio: 'ignore', env: { PATH: process.env.PATH, HOME: folder } });
  onTestFinished(() => void child.kill());
  const api = await server.api();
  const base = `${proxy.scheme}://127.0.0.1:${port}`;
  const curl = async (...more: string[]) =>
    (await run('curl', ['-sSk', '--max-time', '30', '-H', `Authorization: Bearer ${api.token}`, ...more])).stdout;
  await eventually(() => curl(`${base}/healthz`).catch(() => undefined));
  const datasets = `${base}/prod/v1/trainers/datasets`;
  const { id } = JSON.parse(await curl('-X', 'POST', datasets));
  // nginx accepts one megabyte unless it is told otherwise.
  await writeFile(join(folder, 'large.txt'), 'a'.repeat(1_500_000));
  const uploaded = await curl('--form', `file=@${folder}/large.txt`, `${datasets}/${id}/upload`);
  expect(JSON.parse(uploaded)).toMatchObject({ size_bytes: 1_500_000 });
});
