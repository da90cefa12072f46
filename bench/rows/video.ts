import { execFile } from 'node:child_process';
import { copyFile, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { discardServer, startServer } from '../../test/harness/server.js';
import type { Benchmark } from '../bench.js';
import { inChild } from '../child.js';
import type { Load, LoadResult } from '../load.js';
import { alternate, flushDisks, secondsOf } from '../measure.js';
import { writeMovie } from '../movie.js';
import { nginxMissing, startNginx } from '../nginx.js';
import { formatFigure, type Row, rowNotMeasured, rowWithTarget } from '../table.js';

const run = promisify(execFile);
const LOAD = new URL('../load.ts', import.meta.url);
const MIB = 2 ** 20;

/** A signed PUT of a large video, against a PUT of the same file to nginx and against `cp`. */
export const benchVideo: Benchmark = async ({ folder, isQuick, log }) => {
  const bytes = (isQuick ? 256 : 1024) * MIB;
  const movie = join(folder, 'movie.mp4');
  await writeMovie(movie, bytes);
  const server = await startServer({ ffmpeg: 'none' }, { dataFolder: join(folder, 'data') });
  const missing = await nginxMissing();
  const nginx = missing === undefined ? await startNginx(join(folder, 'nginx')) : undefined;
  try {
    const api = await server.api();
    const timed = async (name: string, work: () => Promise<number>) => {
      // A virtual machine gets memory that it uses for the first time from its host page by page, at a third of the speed.
      // Writing and removing a file of the same size gives each contender the same amount of used memory.
      const scratch = join(folder, 'scratch');
      await copyFile(movie, scratch);
      await rm(scratch);
      await flushDisks();
      const seconds = await work();
      log(`${name}: ${formatFigure(seconds)} s`);
      return seconds;
    };
    const put = async (url: string) =>
      (await inChild<Load, LoadResult>(LOAD, { kind: 'put', urls: [url], path: movie })).seconds;
    const trainyard = () =>
      timed('trainyard', async () => {
        const id = await api.newDataset();
        const seconds = await put(await api.link(id, 'movie.mp4', bytes));
        await api.request('DELETE', `/${id}`);
        return seconds;
      });
    const copy = () =>
      timed('cp', async () => {
        const target = join(folder, 'copy.mp4');
        const seconds = await secondsOf(async () => {
          // A reflink copies no bytes.
          await run('cp', ['--reflink=never', movie, target]);
          await sync(target);
        });
        await rm(target);
        return seconds;
      });
    const throughNginx = () =>
      timed('nginx', async () => {
        if (nginx === undefined) return Number.NaN;
        const seconds = await put(`${nginx.url}/movie.mp4`);
        const target = join(nginx.root, 'movie.mp4');
        const syncSeconds = await secondsOf(() => sync(target));
        await rm(target);
        return seconds + syncSeconds;
      });
    const contenders: Record<string, () => Promise<number>> =
      nginx === undefined ? { trainyard, copy } : { trainyard, throughNginx, copy };
    const seconds = await alternate(contenders, isQuick ? 3 : 5);
    const rateOf = (name: string) => bytes / MIB / (seconds[name] ?? Number.NaN);
    const what = `signed PUT of a video of ${bytes / MIB} MiB`;
    const measured = `${formatFigure(rateOf('trainyard'))} MiB/s`;
    const rowOf = (name: string, label: string, atLeast: number): Row => {
      const ratio = rateOf('trainyard') / rateOf(name);
      return rowWithTarget(
        { what, measured, reference: `${label} ${formatFigure(rateOf(name))} MiB/s`, ratio },
        { atLeast },
      );
    };
    return [
      missing === undefined
        ? rowOf('throughNginx', 'nginx PUT + fsync', 1.2)
        : rowNotMeasured(`${what}, against nginx`, missing, '≥ 1.2'),
      rowOf('copy', 'cp + fsync', 0.5),
    ];
  } finally {
    await nginx?.stop();
    await discardServer(server);
  }
};

async function sync(path: string): Promise<void> {
  const file = await open(path, 'r+');
  await file.sync();
  await file.close();
}
