import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { discardServer, startServer } from '../../test/harness/server.js';
import type { Benchmark } from '../bench.js';
import { inChild } from '../child.js';
import type { Load, Loaded } from '../load.js';
import { writeMovie } from '../movie.js';
import { figure, judged, unmeasured } from '../table.js';

const LOAD = new URL('../load.ts', import.meta.url);
const MIB = 2 ** 20;
const UPLOADS = 8;
const LIMIT_MB = 200;

/** The most memory the server takes while eight large videos arrive at once, and whether their size matters. */
export const benchMemory: Benchmark = async ({ folder, isQuick, say }) => {
  const what = `peak RSS while ${UPLOADS} videos arrive at once`;
  if (process.platform !== 'linux') return [unmeasured(what, 'needs /proc', `≤ ${LIMIT_MB} MB`)];
  const peakWith = async (mib: number) => {
    const own = join(folder, `of-${mib}`);
    const movie = `${own}.mp4`;
    await writeMovie(movie, mib * MIB);
    const server = await startServer({}, { dataFolder: own });
    try {
      const api = await server.api();
      const id = await api.newDataset();
      const names = Array.from({ length: UPLOADS }, (_, i) => `movie_${i}.mp4`);
      const urls = await Promise.all(names.map((name) => api.link(id, name, mib * MIB)));
      const { seconds } = await inChild<Load, Loaded>(LOAD, { kind: 'put', urls, path: movie });
      const peak = await peakMegabytes(server.process.pid!);
      say(`${UPLOADS} × ${mib} MiB: ${figure(peak)} MB, ${figure((UPLOADS * mib) / seconds)} MiB/s`);
      return peak;
    } finally {
      await discardServer(server);
    }
  };
  const [small, large] = isQuick ? [50, 250] : [100, 1024];
  const withSmall = await peakWith(small);
  const withLarge = await peakWith(large);
  const measured = `${figure(withLarge)} MB with ${large} MiB each`;
  const limit = { what, measured, reference: `limit ${LIMIT_MB} MB`, ratio: withLarge / LIMIT_MB };
  const flat = {
    what,
    measured,
    reference: `${figure(withSmall)} MB with ${small} MiB each`,
    ratio: withLarge / withSmall,
  };
  return [judged(limit, { atMost: 1 }), judged(flat, { atMost: 1.05 })];
};

/** The high-water mark of a process's resident memory (`proc(5)`), in MB. */
async function peakMegabytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return (Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024) / 1e6;
}
