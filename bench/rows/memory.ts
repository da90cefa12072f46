import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { discardServer, startServer } from '../../test/harness/server.js';
import type { Benchmark } from '../bench.js';
import { inChild } from '../child.js';
import type { Load, LoadResult } from '../load.js';
import { writeMovie } from '../movie.js';
import { formatFigure, rowNotMeasured, rowWithTarget } from '../table.js';

const LOAD = new URL('../load.ts', import.meta.url);
const MIB = 2 ** 20;
const UPLOADS = 8;
const LIMIT_MB = 200;

/** The server's peak memory during eight concurrent uploads of large videos, and of small ones. */
export const benchMemory: Benchmark = async ({ folder, isQuick, log }) => {
  const what = `peak RSS during ${UPLOADS} concurrent uploads of videos`;
  if (process.platform !== 'linux') return [rowNotMeasured(what, 'needs /proc', `≤ ${LIMIT_MB} MB`)];
  const peakWith = async (mib: number) => {
    const own = join(folder, `of-${mib}`);
    const movie = `${own}.mp4`;
    await writeMovie(movie, mib * MIB);
    const server = await startServer({ ffmpeg: 'none' }, { dataFolder: own });
    try {
      const api = await server.api();
      const id = await api.newDataset();
      const names = Array.from({ length: UPLOADS }, (_, i) => `movie_${i}.mp4`);
      const urls = await Promise.all(names.map((name) => api.link(id, name, mib * MIB)));
      const { seconds } = await inChild<Load, LoadResult>(LOAD, { kind: 'put', urls, path: movie });
      const peak = await peakMegabytes(server.process.pid!);
      log(`${UPLOADS} × ${mib} MiB: ${formatFigure(peak)} MB, ${formatFigure((UPLOADS * mib) / seconds)} MiB/s`);
      return peak;
    } finally {
      await discardServer(server);
    }
  };
  const [small, large] = isQuick ? [50, 250] : [100, 1024];
  const withSmall = await peakWith(small);
  const withLarge = await peakWith(large);
  const measured = `${formatFigure(withLarge)} MB with ${large} MiB each`;
  const limit = { what, measured, reference: `limit ${LIMIT_MB} MB`, ratio: withLarge / LIMIT_MB };
  const flat = {
    what,
    measured,
    reference: `${formatFigure(withSmall)} MB with ${small} MiB each`,
    ratio: withLarge / withSmall,
  };
  return [rowWithTarget(limit, { atMost: 1 }), rowWithTarget(flat, { atMost: 1.05 })];
};

/** Begins the high-water mark of a process's resident memory anew (`proc(5)`, `clear_refs`). */
export async function resetPeak(pid: number): Promise<void> {
  await writeFile(`/proc/${pid}/clear_refs`, '5');
}

/** The high-water mark of a process's resident memory (`proc(5)`), in MB. */
export async function peakMegabytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return (Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024) / 1e6;
}
