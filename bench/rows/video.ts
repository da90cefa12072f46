import { execFile } from 'node:child_process';
import { copyFile, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { discardServer, startServer } from '../../test/harness/server.js';
import type { Benchmark } from '../bench.js';
import { inChild } from '../child.js';
import type { Load, Loaded } from '../load.js';
import { flushDisks, secondsOf, takeTurns } from '../measure.js';
import { writeMovie } from '../movie.js';
import { nginxMissing, startNginx } from '../nginx.js';
import { figure, judged, type Row, unmeasured } from '../table.js';

const run = promisify(execFile);
const LOAD = new URL('../load.ts', import.meta.url);
const MIB = 2 ** 20;

/** A signed PUT of a large video, against nginx taking in the same file, and against a copy of it. */
export const benchVideo: Benchmark = async ({ folder, isQuick, say }) => {
  const bytes = (isQuick ? 256 : 1024) * MIB;
  const movie = join(folder, 'movie.mp4');
  await writeMovie(movie, bytes);
  const server = await startServer({}, { dataFolder: join(folder, 'data') });
  const missing = await nginxMissing();
  const nginx = missing === undefined ? await startNginx(join(folder, 'nginx')) : undefined;
  try {
    const api = await server.api();
    const timed = async (name: string, work: () => Promise<number>) => {
      // Memory that a virtual machine has never touched comes from its host page by page, at a third of the speed: whoever
      // follows a contender that removed its file would find its pages ready, and whoever doesn't would not.
      const scratch = join(folder, 'scratch');
      await copyFile(movie, scratch);
      await rm(scratch);
      await flushDisks();
      const seconds = await work();
      say(`${name}: ${figure(seconds)} s`);
      return seconds;
    };
    const put = async (url: string) =>
      (await inChild<Load, Loaded>(LOAD, { kind: 'put', urls: [url], path: movie })).seconds;
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
          // A reflink would copy nothing.
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
    const seconds = await takeTurns(contenders, isQuick ? 3 : 5);
    const rateOf = (name: string) => bytes / MIB / (seconds[name] ?? Number.NaN);
    const what = `signed PUT of a video of ${bytes / MIB} MiB`;
    const measured = `${figure(rateOf('trainyard'))} MiB/s`;
    const rowOf = (name: string, label: string, atLeast: number): Row => {
      const ratio = rateOf('trainyard') / rateOf(name);
      return judged({ what, measured, reference: `${label} ${figure(rateOf(name))} MiB/s`, ratio }, { atLeast });
    };
    return [
      missing === undefined
        ? rowOf('throughNginx', 'nginx PUT + fsync', 1.2)
        : unmeasured(`${what}, against nginx`, missing, '≥ 1.2'),
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
