import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, expect, test } from 'vitest';
import type { Api } from '../harness/api.js';
import { metricsOf } from '../harness/metrics.js';
import { discardServer, eventually, startServer, type TestServer } from '../harness/server.js';
import { notedJpeg } from './contents.js';
import { directBytes, RawClient } from './raw-client.js';
import { faultsOf } from './remains.js';

const SECRETS = { AWS_SECRET_ACCESS_KEY: 'not-for-decoders', TRAINYARD_NOTE: 'nor-this' };

/** The processes that a server has started. */
function inspectionProcesses({ process: { pid } }: TestServer): number[] {
  // The server tries ffmpeg in another child.
  const isOne = (child: string) => {
    try {
      const parent = Number(/PPid:\s+(\d+)/.exec(readFileSync(`/proc/${child}/status`, 'latin1'))?.[1]);
      return parent === pid && readFileSync(`/proc/${child}/cmdline`, 'latin1').includes('inspect-in-process');
    } catch {
      return false;
    }
  };
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && isOne(name))
    .map(Number);
}

/** False also for a zombie, which its new parent may never wait for. */
function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
}

const goneOf = (pid: number) => eventually(() => (isRunning(pid) ? undefined : true));

const picture = (note: string) => notedJpeg(note, 50_000);

let server: TestServer;
let api: Api;
let id: string;
let pid: number;

/** Starts a server with one inspection process, which has inspected one file. */
async function start(): Promise<void> {
  server = await startServer({ 'stop-seconds': 86_400 }, { env: SECRETS });
  api = await server.api();
  id = await api.newDataset();
  expect((await api.upload(id, 'first.jpg', picture('first'))).status).toBe(200);
  const pids = inspectionProcesses(server);
  expect(pids).toHaveLength(1);
  pid = pids[0]!;
}
afterEach(() => discardServer(server));

/** Only if its process is stopped can a test hold a decoder in the middle of a file. @returns the status of the upload */
async function stalledUpload(): Promise<{ answer: Promise<number | undefined> }> {
  await stopProcesses();
  const answer = api.upload(id, 'second.jpg', picture('second')).then(
    ({ status }) => status,
    () => undefined,
  );
  await beingInspected();
  return { answer };
}

/** None has a job, which would be counted too. */
async function stopProcesses(): Promise<void> {
  const hashing = /^trainyard_jobs\{kind="hash-images",.*\} [1-9]/m;
  await eventually(async () => !hashing.test(await metricsOf(server)) || undefined);
  for (const one of inspectionProcesses(server)) process.kill(one, 'SIGSTOP');
}

async function beingInspected(): Promise<void> {
  await eventually(async () => (/^trainyard_inspections\S* 1$/m.test(await metricsOf(server)) ? true : undefined));
}

test('decoders run in processes without secrets, of which one that is killed, or whose client is gone, is replaced', async () => {
  await start();
  const environment = readFileSync(`/proc/${pid}/environ`, 'latin1');
  const names = environment.split('\0').map((pair) => pair.split('=')[0]);
  expect(names).toContain('MALLOC_ARENA_MAX');
  for (const name of [...Object.keys(SECRETS), 'HOME']) expect(names).not.toContain(name);
  for (const value of Object.values(SECRETS)) expect(environment).not.toContain(value);
  expect((await api.raw('GET', `/${id}/files/first.jpg/thumbnail`)).status).toBe(200);
  const maps = (of: number) => readFileSync(`/proc/${of}/maps`, 'latin1');
  expect([maps(pid).includes('libvips'), maps(server.process.pid!).includes('libvips')]).toEqual([true, false]);

  await stopProcesses();
  const client = await RawClient.open(server.url);
  await client.send(directBytes(api, id, 'left.jpg', picture('left')));
  await beingInspected();
  await client.reset();
  await goneOf(pid);

  expect((await api.upload(id, 'third.jpg', picture('third'))).status).toBe(200);
  expect(inspectionProcesses(server)).not.toContain(pid);
  const { answer } = await stalledUpload();
  for (const one of inspectionProcesses(server)) process.kill(one, 'SIGKILL');
  expect(await answer).toBe(200);
  expect(faultsOf(server)).toEqual([]);
});

test('processes end with a server that is killed, also in the middle of a file', async () => {
  await start();
  const { answer } = await stalledUpload();
  await server.stop('SIGKILL');
  expect(await answer).toBeUndefined();
  // Where `setpriv` is missing, the process has to run on to notice.
  if (isRunning(pid)) process.kill(pid, 'SIGCONT');
  await goneOf(pid);
});

test('SIGTERM does not wait for a decoder, and the client is told to send the file again', async () => {
  await start();
  const { answer } = await stalledUpload();
  expect(await server.stop('SIGTERM')).toBe(0);
  expect(await answer).toBe(503);
  expect(isRunning(pid)).toBe(false);
});
