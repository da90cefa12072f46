import { execFile, spawn, spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { folderWith } from '../harness/folder.js';
import { freePort } from '../harness/free-port.js';
import { eventually, serverUntil } from '../harness/server.js';

const run = promisify(execFile);
const hasNginx = spawnSync('nginx', ['-v']).status === 0;

test.skipIf(!hasNginx && process.env.CI !== 'true')('nginx as documented passes large bodies on', async () => {
  const folder = await folderWith({});
  const server = await serverUntil(onTestFinished, { 'trusted-proxies': '127.0.0.1', 'caption-grace-seconds': 0 });
  const port = await freePort();
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1'];
  await run('openssl', [...request, '-subj', '/CN=127.0.0.1', '-keyout', `${folder}/key`, '-out', `${folder}/pem`]);
  const page = await readFile(new URL('../../docs/installing.md', import.meta.url), 'utf8');
  const block = (/```nginx\n(.*?)```/s.exec(page)?.[1] ?? '')
    .replace('127.0.0.1:8787', new URL(server.url).host)
    .replace('listen 443', `listen 127.0.0.1:${port}`)
    .replaceAll(/\/etc\/ssl\/data\.example\.net\.(pem|key)/g, `${folder}/$1`);
  const configuration = `
    daemon off; pid ${folder}/pid; events {} error_log stderr;
    http { access_log off; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;
      fastcgi_temp_path ${folder}/1; uwsgi_temp_path ${folder}/2; scgi_temp_path ${folder}/3; ${block} }`;
  await writeFile(join(folder, 'config'), configuration);
  const child = spawn('nginx', ['-e', 'stderr', '-c', join(folder, 'config')], { stdio: 'ignore' });
  onTestFinished(() => void child.kill());
  const api = await server.api();
  const curl = async (...more: string[]) =>
    (await run('curl', ['-sSk', '--max-time', '30', '-H', `Authorization: Bearer ${api.token}`, ...more])).stdout;
  await eventually(() => curl(`https://127.0.0.1:${port}/healthz`).catch(() => undefined));
  const datasets = `https://127.0.0.1:${port}/prod/v1/trainers/datasets`;
  const { id } = JSON.parse(await curl('-X', 'POST', datasets));
  // nginx accepts one megabyte unless it is told otherwise.
  await writeFile(join(folder, 'large.txt'), 'a'.repeat(1_500_000));
  const uploaded = await curl('--form', `file=@${folder}/large.txt`, `${datasets}/${id}/upload`);
  expect(JSON.parse(uploaded)).toMatchObject({ size_bytes: 1_500_000 });
});
