import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { freePort } from '../../test/harness/free-port.js';
import { COMMAND, NODE_FLAGS, startServer } from '../../test/harness/server.js';
import type { Benchmark } from '../bench.js';
import { Connection, mustSucceed } from '../connection.js';
import { alternate } from '../measure.js';
import { formatFigure, rowWithTarget } from '../table.js';

const ROUNDS = 7;
const RETRY_MS = 2;

/** The time from the command to the first answer, with an existing data folder, and of the help, against that of an empty program. */
export const benchStart: Benchmark = async ({ folder, log }) => {
  const data = join(folder, 'data');
  const server = await startServer({}, { dataFolder: data });
  try {
    await (await server.api()).newDataset();
  } finally {
    await server.stop();
  }

  const serve = async () => {
    const port = await freePort();
    const startedAt = performance.now();
    const flags = ['serve', '--data', data, '--port', String(port), '--log-level', 'error'];
    const child = spawn(process.execPath, [...NODE_FLAGS, COMMAND, ...flags], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const connection = await firstConnection(`http://127.0.0.1:${port}`, child);
    mustSucceed(await connection.request(`GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`));
    const seconds = (performance.now() - startedAt) / 1000;
    connection.close();
    child.kill('SIGTERM');
    await once(child, 'exit');
    log(`${formatFigure(seconds)} s`);
    return seconds;
  };
  const run = async (...args: string[]) => {
    const startedAt = performance.now();
    await once(spawn(process.execPath, args, { stdio: 'ignore' }), 'exit');
    return (performance.now() - startedAt) / 1000;
  };
  const work = { serve, emptyNode: () => run('-e', '0'), help: () => run(COMMAND, '--help') };
  const seconds = await alternate(work, ROUNDS);
  const rowOf = (what: string, measured: number) => ({
    what,
    measured: `${formatFigure(measured)} s`,
    reference: `node -e 0: ${formatFigure(seconds.emptyNode)} s`,
    ratio: measured / seconds.emptyNode,
  });
  return [
    rowWithTarget(rowOf('start to first answer', seconds.serve), { atMost: 6 }),
    rowWithTarget(rowOf('trainyard --help', seconds.help), { atMost: 2.5 }),
  ];
};

async function firstConnection(url: string, child: ChildProcess): Promise<Connection> {
  for (;;) {
    const connection = await Connection.open(url).catch(() => undefined);
    if (connection !== undefined) return connection;
    if (child.exitCode !== null) throw new Error('the server exited before it answered');
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  }
}
