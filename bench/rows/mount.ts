import { execFile } from 'node:child_process';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { COMMAND, discardServer, startServer } from '../../test/harness/server.js';
import type { Benchmark } from '../bench.js';
import { flushDisks, secondsOf, takeTurns } from '../measure.js';
import { figure, judged } from '../table.js';
import { writePairs } from './push.js';

const run = promisify(execFile);

/** A dataset mounted on the same machine and over HTTP, each file checked, against `cp -r` of the same files and a sync. */
export const benchMount: Benchmark = async ({ folder, isQuick, say }) => {
  const pairs = isQuick ? 500 : 2000;
  await writePairs(folder, pairs);
  const dataFolder = join(folder, 'data');
  const server = await startServer({}, { dataFolder });
  try {
    const api = await server.api();
    const env = { ...process.env, TRAINYARD_URL: server.url, TRAINYARD_TOKEN: api.token };
    const trainyard = (...args: string[]) =>
      run(process.execPath, [COMMAND, ...args, '--json'], { env, maxBuffer: 1 << 26 });
    await trainyard('push', join(folder, 'pairs'), '--name', 'pairs');
    const timed = async (name: string, work: () => Promise<unknown>) => {
      await rm(join(folder, name), { recursive: true, force: true });
      await flushDisks();
      const seconds = await secondsOf(async () => {
        await work();
        await flushDisks();
      });
      say(`${name} in ${figure(seconds)} s`);
      return seconds;
    };
    const seconds = await takeTurns(
      {
        copy: () => timed('copy', () => run('cp', ['-r', join(folder, 'pairs'), join(folder, 'copy')])),
        local: () =>
          timed('local', () => trainyard('mount', 'pairs', '--into', join(folder, 'local'), '--data', dataFolder)),
        http: () => timed('http', () => trainyard('mount', 'pairs', '--into', join(folder, 'http'))),
      },
      isQuick ? 2 : 5,
    );
    await sameFiles(join(folder, 'copy'), join(folder, 'local', 'pairs'));
    const reference = `cp -r: ${figure(seconds.copy)} s`;
    const what = `mount of ${figure(pairs)} pairs, every file checked`;
    const rowOf = (where: string, measured: number) => ({
      what: `${what}, ${where}`,
      measured: `${figure(measured)} s`,
      reference,
      ratio: measured / seconds.copy,
    });
    return [
      judged(rowOf('same machine', seconds.local), { atMost: 1.1 }),
      judged(rowOf('over HTTP', seconds.http), { atMost: 1.5 }),
    ];
  } finally {
    await discardServer(server);
  }
};

/** A mount that is fast because it is not whole would be worth nothing. @throws Error */
async function sameFiles(a: string, b: string): Promise<void> {
  const name = 'photo_00007.jpg';
  const [one, other] = await Promise.all([readFile(join(a, name)), readFile(join(b, name))]);
  if (!one.equals(other)) throw new Error(`${name} differs between ${a} and ${b}`);
}
