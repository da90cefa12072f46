import { readdirSync, readFileSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';
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

/** A server with one inspection process, which has inspected one file. */
async function openServer() {
  const server = await startServer({ 'stop-seconds': 86_400 }, { env: SECRETS });
  onTestFinished(() => discardServer(server));
  const api = await server.api();
  const id = await api.newDataset();
  expect((await api.upload(id, 'first.jpg', picture('first'))).status).toBe(200);
  const pids = inspectionProcesses(server);
  expect(pids).toHaveLength(1);
  return { server, api, id, pid: pids[0]! };
}

/**
 * Starts an upload whose inspection stands still: its process is stopped. Only so can a test hold a decoder in the middle of
 * a file.
 */
async function openStalledUpload() {
  const opened = await openServer();
  const { server, api, id, pid } = opened;
  process.kill(pid, 'SIGSTOP');
  const body = new FormData();
  body.append('file', new Blob([picture('second') as Uint8Array<ArrayBuffer>]), 'second.jpg');
  const answer = api.raw('POST', `/${id}/upload`, { body }).then(
    ({ status }) => status,
    () => undefined,
  );
  await beingInspected(server);
  return { ...opened, answer };
}

async function beingInspected(server: TestServer): Promise<void> {
  await eventually(async () => {
    const metrics = await (await fetch(`${server.url}/metrics`)).text();
    return /^trainyard_inspections\S* 1$/m.test(metrics) ? true : undefined;
  });
}

test('a process sees no secret of the server', async () => {
  const { pid } = await openServer();
  const environment = readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0');
  const names = environment.map((pair) => pair.split('=')[0]);
  expect(names).toContain('MALLOC_ARENA_MAX');
  expect(names).not.toContain('HOME');
  for (const [name, value] of Object.entries(SECRETS)) {
    expect(names).not.toContain(name);
    expect(environment.join()).not.toContain(value);
  }
});

test('processes end with a server that is killed, also in the middle of a file', async () => {
  const { server, pid, answer } = await openStalledUpload();
  await server.stop('SIGKILL');
  expect(await answer).toBeUndefined();
  // Where `setpriv` is missing, the process has to run on to notice.
  if (isRunning(pid)) process.kill(pid, 'SIGCONT');
  await goneOf(pid);
});

test('SIGTERM does not wait for a decoder, and the client is told to send the file again', async () => {
  const { server, pid, answer } = await openStalledUpload();
  expect(await server.stop('SIGTERM')).toBe(0);
  expect(await answer).toBe(503);
  expect(isRunning(pid)).toBe(false);
});

test('decoders run in other processes; an upload whose connection is reset ends its inspection, and the next one gets a new process', async () => {
  const { server, api, id, pid } = await openServer();
  expect((await api.raw('GET', `/${id}/files/first.jpg/thumbnail`)).status).toBe(200);
  const maps = (of: number) => readFileSync(`/proc/${of}/maps`, 'latin1');
  expect([maps(pid).includes('libvips'), maps(server.process.pid!).includes('libvips')]).toEqual([true, false]);
  process.kill(pid, 'SIGSTOP');
  const client = await RawClient.open(server.url);
  await client.send(directBytes(api, id, 'second.jpg', picture('second')));
  await beingInspected(server);
  await client.reset();
  await goneOf(pid);
  expect((await api.upload(id, 'third.jpg', picture('third'))).status).toBe(200);
  expect(inspectionProcesses(server)).not.toContain(pid);
  expect(faultsOf(server)).toEqual([]);
});

test('a process that is killed is replaced, and its file is inspected again', async () => {
  const { server, pid, answer } = await openStalledUpload();
  process.kill(pid, 'SIGKILL');
  expect(await answer).toBe(200);
  expect(inspectionProcesses(server)).not.toContain(pid);
  expect(faultsOf(server)).toEqual([]);
});
