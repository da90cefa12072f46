import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.js';
import { s3Environment } from './s3.js';
import { eventually } from './server.js';

/** Why a test can't have a gateway of its own, as with an external S3; `undefined` where it can. */
export function whyNoGateway(): string | undefined {
  if (!process.env.TEST_S3_ENDPOINT || process.env.TEST_S3_CEPH_HOME) return undefined;
  return 'the store that TEST_S3_ENDPOINT names is not ours to stop';
}

/** A RADOS Gateway for one test, in front of the Ceph that all tests share, so that it can be stopped. */
export interface Gateway {
  readonly port: number;
  readonly start: () => Promise<void>;
  /** Stops it with SIGTERM; connections are refused until `start`. */
  readonly stop: () => Promise<void>;
}

/** Starts one. It knows the same buckets and users as the shared one. */
export async function startGateway(): Promise<Gateway> {
  const { TEST_S3_CEPH_HOME: home } = await s3Environment();
  if (home === undefined) throw new Error('TEST_S3_CEPH_HOME does not say where Ceph lies.');
  const port = await freePort();
  // The path of a Unix socket has at most 107 bytes.
  const socket = join(tmpdir(), `${randomUUID()}.asok`);
  let running: { child: ChildProcess; exited: Promise<unknown> } | undefined;
  const start = async () => {
    const options = [`--rgw-frontends=beast endpoint=127.0.0.1:${port}`, `--admin-socket=${socket}`];
    const args = ['-c', join(home, 'ceph.conf'), '-f', '-n', 'client.rgw.a', ...options, '--log-file=/dev/null'];
    const child = spawn('radosgw', args, { stdio: 'ignore' });
    running = { child, exited: once(child, 'exit') };
    await eventually(() =>
      fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(2000) }).then(
        (response) => response.ok || undefined,
        () => undefined,
      ),
    );
  };
  await start();
  return {
    port,
    start,
    stop: async () => {
      running?.child.kill('SIGTERM');
      await running?.exited;
      running = undefined;
      await rm(socket, { force: true });
    },
  };
}
