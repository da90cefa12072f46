import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { BASE_PATH } from '../../../src/api/limits.js';
import { put } from '../../harness/api.js';
import { trainyard } from '../../harness/command.js';
import { metricsOf } from '../../harness/metrics.js';
import { eventually, serverUntil, temporaryFolder } from '../../harness/server.js';
import { sharedServer } from '../../harness/shared-server.js';

const shared = await sharedServer();

const linesIn = (log: string) =>
  log
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

test('no log, error, metric or audit line has a secret, also of a client that sends it in a wrong place', async () => {
  const folder = await temporaryFolder();
  const auditLog = join(folder, 'audit.jsonl');
  const server = await serverUntil(onTestFinished, { 'log-level': 'debug', 'audit-log': auditLog });
  const api = await server.api('studio');
  const id = await api.newDataset('dogs');
  await api.upload(id, 'a.txt', 'the secret of a caption');
  const link = await api.link(id, 'b.txt', 3);
  expect((await put(link, 'abc')).status).toBe(200);
  await fetch(server.url + BASE_PATH, { method: 'POST' });
  const { body } = await api.request<{ query: string }>('GET', `/${id}/download-link`);
  const signatures = [new URL(link).searchParams.get('signature')!, new URLSearchParams(body.query).get('signature')!];
  const secrets = [api.token, ...signatures, 'the secret of a caption', 'of-store'];

  const told: string[] = [];
  const misplaced = encodeURIComponent(api.token);
  for (const [method, path] of [
    ['GET', `/?token=${misplaced}`],
    ['GET', `/${misplaced}`],
    ['POST', `/${misplaced}`],
    ['GET', `${BASE_PATH}?token=${misplaced}`],
    ['GET', `${BASE_PATH}/${misplaced}/status`],
    ['DELETE', `${BASE_PATH}/${misplaced}`],
    ['DELETE', `${BASE_PATH}/${id}/files/${misplaced}.txt`],
    ['GET', `${BASE_PATH}/${id}/files/a.txt?${body.query}x`],
    ['PUT', `${new URL(link).pathname}${new URL(link).search}`],
    ['PUT', `/uploads/${misplaced}?signature=${signatures[0]}`],
  ] as const) {
    // A token would open the file itself.
    const headers = path.includes('account=') ? new Headers() : { authorization: `Bearer ${api.token}` };
    told.push(await (await fetch(`${server.url}${path}`, { method, headers })).text());
  }
  const presigned = 'X-Amz-Credential=AKIA-of-store&X-Amz-Security-Token=STS-of-store';
  told.push(JSON.stringify((await api.create(`${api.token}/${presigned}`)).body));
  const cli = { env: { TRAINYARD_URL: server.url, TRAINYARD_TOKEN: api.token, HOME: folder } };
  for (const args of [['ls'], ['rm', 'nothing', '--yes']]) {
    const { stderr, stdout } = await trainyard(args, cli);
    told.push(stdout + stderr);
  }
  await api.json('PATCH', `/${id}`, { role: 'training', name: 'hounds' });
  await api.request('DELETE', `/${id}/files/a.txt`);
  await api.request('DELETE', `/${id}`);
  told.push(await metricsOf(server));
  await server.stop();

  const audit = await readFile(auditLog, 'utf8');
  const everything = [server.output(), audit, ...told].join('\n');
  for (const secret of secrets) expect(everything.split(secret).length - 1, secret.slice(0, 8)).toBe(0);

  const entries = linesIn(audit);
  // Nothing of a request without a token.
  expect(entries.filter(({ token, upload }) => (token ?? upload) === undefined)).toEqual([]);
  const upload = new URL(link).pathname.split('/').at(-1);
  const mine = { account: 'studio', token: expect.any(String), address: '127.0.0.1' };
  for (const entry of [
    { action: 'dataset.create', outcome: 'done', dataset: id, name: 'dogs', ...mine },
    { action: 'file.upload', outcome: 'done', dataset: id, filename: 'a.txt', ...mine },
    { action: 'upload.reserve', outcome: 'done', dataset: id, files: 1, uploads: [upload], ...mine },
    { action: 'file.upload', outcome: 'done', dataset: id, filename: 'b.txt', upload },
    { action: 'file.upload', outcome: 'failed', error: 'upload_finalized', dataset: id, filename: 'b.txt', upload },
    { action: 'dataset.create', outcome: 'failed', error: 'invalid_name', ...mine },
    { action: 'dataset.delete', outcome: 'failed', error: 'dataset_not_found', ...mine },
    { action: 'dataset.change', outcome: 'done', dataset: id, name: 'hounds', role: 'training', ...mine },
    { action: 'file.delete', outcome: 'done', dataset: id, filename: 'a.txt', ...mine },
    { action: 'dataset.delete', outcome: 'done', dataset: id, ...mine },
  ]) {
    expect(entries).toContainEqual(expect.objectContaining(entry));
  }
});

test('an audit log that was renamed is continued in a new file; one that can not be written blocks nothing, and the log of the service has its entries', async () => {
  const folder = await temporaryFolder();
  await mkdir(join(folder, 'logs'));
  const auditLog = join(folder, 'logs', 'audit.jsonl');
  const server = await serverUntil(onTestFinished, { 'audit-log': auditLog });
  const api = await server.api();
  const inLog = (name: string) =>
    eventually(async () => (await readFile(auditLog, 'utf8').catch(() => '')).includes(`"${name}"`) || undefined);
  await api.create('trains');
  await inLog('trains');
  await rename(auditLog, `${auditLog}.1`);
  await api.create('yards');
  await inLog('yards');
  await rename(join(folder, 'logs'), join(folder, 'away'));
  await writeFile(join(folder, 'logs'), '');
  expect((await api.create('dogs')).status).toBe(200);
  await eventually(() => /"entry":\{.*"name":"dogs"/.test(server.output()) || undefined);
  expect(server.output()).toContain('THE AUDIT LOG CAN NOT BE WRITTEN');
  expect(await metricsOf(server)).toContain('trainyard_audit_log_writable 0');
  expect((await fetch(`${server.url}/readyz`)).status).toBe(200);
  await rm(join(folder, 'logs'));
  await rename(join(folder, 'away'), join(folder, 'logs'));
  expect((await api.create('cats')).status).toBe(200);
  await inLog('cats');
  expect(await metricsOf(server)).toContain('trainyard_audit_log_writable 1');
});

test('commands that change tokens write to the audit log, and an impossible one is a setting error of serve', async () => {
  const folder = await temporaryFolder();
  const auditLog = join(folder, 'audit.jsonl');
  const flags = ['--data', shared.dataFolder, '--audit-log', auditLog];
  const created = (await trainyard(['token', 'create', '--json', ...flags])).json() as { id: string; token: string };
  await trainyard(['token', 'revoke', created.id, ...flags]);
  const text = await readFile(auditLog, 'utf8');
  expect(text).not.toContain(created.token);
  expect(linesIn(text)).toMatchObject([
    { action: 'token.create', token: created.id, account: 'default', by: 'command line' },
    { action: 'token.revoke', token: created.id },
  ]);
  const serve = ['serve', '--port', '0', '--data', join(folder, 'data'), '--audit-log', folder];
  const { code, stderr } = await trainyard(serve);
  expect([code, stderr]).toEqual([78, expect.stringContaining("The audit log can't be written")]);
});
