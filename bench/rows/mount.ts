import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { COMMAND, discardServer, startServer } from '../../test/harness/server.js';
import type { Benchmark } from '../bench.js';
import { alternate, flushDisks, secondsOf } from '../measure.js';
import { formatFigure, type Row, rowNotMeasured, rowWithTarget } from '../table.js';
import { writePairs } from './push.js';

const run = promisify(execFile);

const MEMORY_LIMIT_MB = 250;

/** A mount with all checks from a data folder and over HTTP, against `cp -r` and a sync; and the peak memory of a large mount. */
export const benchMount: Benchmark = async ({ folder, isQuick, log }) => {
  const pairs = isQuick ? 500 : 2000;
  await writePairs(folder, pairs);
  const dataFolder = join(folder, 'data');
  const server = await startServer({}, { dataFolder });
  try {
    const api = await server.api();
    const env = { ...process.env, TRAINYARD_URL: server.url, TRAINYARD_TOKEN: api.token };
    const trainyard = (...args: string[]) => run(process.execPath, [COMMAND, ...args], { env, maxBuffer: 1 << 26 });
    await trainyard('push', join(folder, 'pairs'), '--name', 'pairs');
    let times = 0;
    const timed = async (name: string, work: (into: string) => Promise<unknown>) => {
      // A new folder each time, and nothing is removed between rounds: ext4 creates files slowly after a removal, because it
      // looks for an inode that has been free for some seconds (`recently_deleted` in `fs/ext4/ialloc.c`).
      const into = join(folder, `${name}-${++times}`);
      await mkdir(into);
      await flushDisks();
      const seconds = await secondsOf(async () => {
        await work(into);
        await flushDisks();
      });
      log(`${name} in ${formatFigure(seconds)} s`);
      return seconds;
    };
    const seconds = await alternate(
      {
        start: () => secondsOf(() => trainyard('mount', '--help')),
        copy: () => timed('copy', (into) => run('cp', ['-r', join(folder, 'pairs'), into])),
        local: () => timed('local', (into) => trainyard('mount', 'pairs', '--into', into, '--data', dataFolder)),
        http: () => timed('http', (into) => trainyard('mount', 'pairs', '--into', into)),
      },
      isQuick ? 2 : 5,
    );
    await sameFiles(join(folder, 'copy-1', 'pairs'), join(folder, 'local-2', 'pairs'));
    const reference = `cp -r: ${formatFigure(seconds.copy)} s`;
    const what = `mount of ${formatFigure(pairs)} pairs, every file checked, without the start of the program`;
    const rowOf = (where: string, whole: number) => {
      const measured = whole - seconds.start;
      return {
        what: `${what}, ${where}`,
        measured: `${formatFigure(measured)} s`,
        reference,
        ratio: measured / seconds.copy,
      };
    };
    return [
      rowWithTarget(rowOf('same machine', seconds.local), { atMost: 1.5 }),
      rowWithTarget(rowOf('over HTTP', seconds.http), { atMost: 3 }),
      await memoryRow({ folder, trainyard, pairs: isQuick ? 500 : 5000 }),
    ];
  } finally {
    await discardServer(server);
  }
};

/** The peak memory of a mount over HTTP, which a shell started with `--exec` reads from its parent's `/proc`. */
async function memoryRow({
  folder,
  trainyard,
  pairs,
}: {
  folder: string;
  trainyard: (...args: string[]) => Promise<{ stdout: string }>;
  pairs: number;
}): Promise<Row> {
  const what = `peak RSS of a mount of ${formatFigure(pairs * 2)} files`;
  if (process.platform !== 'linux') return rowNotMeasured(what, 'needs /proc', `≤ ${MEMORY_LIMIT_MB} MB`);
  const many = join(folder, 'many');
  await mkdir(many);
  const image = await readFile(fileURLToPath(new URL('../../examples/railway/yard_01.jpg', import.meta.url)));
  for (let i = 0; i < pairs; i++) {
    await writeFile(join(many, `${i}.jpg`), image);
    await writeFile(join(many, `${i}.txt`), `a red wagon on siding ${i}`);
  }
  await trainyard('push', many);
  const probe = ['--exec', 'sh', '-c', 'cat /proc/$PPID/status'];
  const { stdout } = await trainyard('mount', 'many', '--into', join(folder, 'memory'), ...probe);
  const megabytes = (Number(/^VmHWM:\s+(\d+) kB$/m.exec(stdout)?.[1]) * 1024) / 1e6;
  const limit = `limit ${MEMORY_LIMIT_MB} MB`;
  const row = { what, measured: `${formatFigure(megabytes)} MB`, reference: limit, ratio: megabytes / MEMORY_LIMIT_MB };
  return rowWithTarget(row, { atMost: 1 });
}

/** Checks that the mount is complete. @throws Error */
async function sameFiles(a: string, b: string): Promise<void> {
  const name = 'photo_00007.jpg';
  const [one, other] = await Promise.all([readFile(join(a, name)), readFile(join(b, name))]);
  if (!one.equals(other)) throw new Error(`${name} differs between ${a} and ${b}`);
}
