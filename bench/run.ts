import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { BACKENDS, type Backend, Backends } from './backends.js';
import type { Benchmark } from './bench.js';
import { machineLine } from './machine.js';
import { benchGrowth } from './rows/growth.js';
import { benchInstances } from './rows/instances.js';
import { benchLatency } from './rows/latency.js';
import { benchMemory } from './rows/memory.js';
import { benchMount } from './rows/mount.js';
import { benchPage } from './rows/page.js';
import { benchPlaces } from './rows/places.js';
import { benchPresigned } from './rows/presigned.js';
import { benchPush } from './rows/push.js';
import { benchStart } from './rows/start.js';
import { benchTrips } from './rows/trips.js';
import { benchUploads } from './rows/uploads.js';
import { benchVideo } from './rows/video.js';
import { type Row, tableOf } from './table.js';

const BENCHMARKS: Readonly<Record<string, Benchmark>> = {
  start: benchStart,
  latency: benchLatency,
  uploads: benchUploads,
  growth: benchGrowth,
  video: benchVideo,
  memory: benchMemory,
  push: benchPush,
  mount: benchMount,
  page: benchPage,
};

/** With everything in the folder there is no way to a database or a store to be measured, and nothing to be shared. */
const ELSEWHERE: Readonly<Record<string, { needs: readonly Backend[]; run: Benchmark }>> = {
  latency: { needs: ['postgres'], run: benchLatency },
  trips: { needs: ['postgres'], run: benchTrips },
  places: { needs: [], run: benchPlaces },
  growth: { needs: [], run: benchGrowth },
  presigned: { needs: ['s3'], run: benchPresigned },
  instances: { needs: ['postgres'], run: benchInstances },
};

const HELP = `npm run bench -- [--quick] [--backend NAME[,NAME]] [--only NAME]… [--dir FOLDER]

Measures what docs/performance.md speaks of and prints a table. Ends with 0 also where something falls short.

  --backend B   ${BACKENDS.join(', ')} or both: the servers keep things there. A Postgres is started in FOLDER, or
                TEST_DATABASE_URL names one; for S3 a Ceph is, as test/harness/ceph.sh does it, or TEST_S3_ENDPOINT names a store
  --only NAME   ${Object.keys(BENCHMARKS).join(', ')};
                with --backend ${Object.keys(ELSEWHERE).join(', ')}; may be given several times
  --quick       fewer and smaller
  --dir FOLDER  where to write, on the disk that matters (default: the system's folder for temporary files)
`;

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    backend: { type: 'string' },
    only: { type: 'string', multiple: true },
    dir: { type: 'string', default: tmpdir() },
    help: { type: 'boolean', default: false },
  },
});

async function main(): Promise<void> {
  const named = values.backend?.split(',') ?? [];
  const backends = BACKENDS.filter((backend) => named.includes(backend));
  const benchmarks = benchmarksOn(backends);
  const unknown = [
    ...named.filter((name) => !(BACKENDS as readonly string[]).includes(name)),
    ...(values.only ?? []).filter((name) => benchmarks[name] === undefined),
  ];
  if (values.help || unknown.length > 0) {
    const where = backends.length === 0 ? '' : ` with --backend ${backends.join(',')}`;
    process.stderr.write(unknown.length > 0 ? `There is no ${unknown.join(', ')}${where}.\n${HELP}` : HELP);
    process.exitCode = values.help ? 0 : 64;
    return;
  }
  const folder = await mkdtemp(join(values.dir, 'trainyard-bench-'));
  const started = new Backends(folder);
  const rows: Row[] = [];
  try {
    for (const name of values.only ?? Object.keys(benchmarks)) {
      const own = join(folder, name);
      await mkdir(own);
      const startedAt = performance.now();
      const say = (line: string) => process.stderr.write(`  ${name}: ${line}\n`);
      const newPlace = (...wanted: readonly Backend[]) => started.newPlace(...wanted);
      rows.push(...(await benchmarks[name]!({ folder: own, isQuick: values.quick, backends, newPlace, say })));
      say(`done in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
      await rm(own, { recursive: true, force: true });
    }
    process.stdout.write(`\n${await machineLine(folder)}\n\n${tableOf(rows)}\n`);
  } finally {
    await started.stop().finally(() => rm(folder, { recursive: true, force: true }));
  }
}

function benchmarksOn(backends: readonly Backend[]): Readonly<Record<string, Benchmark>> {
  if (backends.length === 0) return BENCHMARKS;
  const possible = Object.entries(ELSEWHERE).filter(([, { needs }]) => needs.every((need) => backends.includes(need)));
  return Object.fromEntries(possible.map(([name, { run }]) => [name, run]));
}

await main();
