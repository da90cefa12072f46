import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { BACKENDS, type Backend, Backends } from './backends.js';
import type { Benchmark } from './bench.js';
import { machineLine } from './machine.js';
import { benchBackends } from './rows/backends.js';
import { benchCaptions } from './rows/captions.js';
import { benchCrowd } from './rows/crowd.js';
import { benchGrowth } from './rows/growth.js';
import { benchHistory } from './rows/history.js';
import { benchInstances } from './rows/instances.js';
import { benchJpeg } from './rows/jpeg.js';
import { benchLatency } from './rows/latency.js';
import { benchMemory } from './rows/memory.js';
import { benchMount } from './rows/mount.js';
import { benchPage } from './rows/page.js';
import { benchPairs } from './rows/pairs.js';
import { benchPresigned } from './rows/presigned.js';
import { benchPush } from './rows/push.js';
import { benchRoundTrips } from './rows/round-trips.js';
import { benchStart } from './rows/start.js';
import { benchUploads } from './rows/uploads.js';
import { benchVideo } from './rows/video.js';
import { soak } from './soak/soak.js';
import { type Row, tableOf } from './table.js';

const BENCHMARKS: Readonly<Record<string, Benchmark>> = {
  start: benchStart,
  latency: benchLatency,
  crowd: benchCrowd,
  jpeg: benchJpeg,
  uploads: benchUploads,
  growth: benchGrowth,
  history: benchHistory,
  pairs: benchPairs,
  video: benchVideo,
  memory: benchMemory,
  captions: benchCaptions,
  push: benchPush,
  mount: benchMount,
  page: benchPage,
};

/** Benchmarks of `--backend`: they measure round trips, the store, and several instances. */
const BACKEND_BENCHMARKS: Readonly<Record<string, { needs: readonly Backend[]; run: Benchmark }>> = {
  latency: { needs: ['postgres'], run: benchLatency },
  'round-trips': { needs: ['postgres'], run: benchRoundTrips },
  backends: { needs: [], run: benchBackends },
  growth: { needs: [], run: benchGrowth },
  presigned: { needs: ['s3'], run: benchPresigned },
  instances: { needs: ['postgres'], run: benchInstances },
};

const HELP = `npm run bench -- [--quick] [--backend NAME[,NAME]] [--only NAME]… [--dir FOLDER]

Measures the figures of bench/README.md and prints a table. Exits with 0 also if a target is missed.

  --backend B   ${BACKENDS.join(', ')}, or both separated by a comma: the servers use Postgres for the catalog, S3 for files.
                Starts a Postgres in FOLDER and a Ceph with test/harness/ceph.sh, unless TEST_DATABASE_URL and
                TEST_S3_ENDPOINT name running ones
  --only NAME   run this benchmark only; may be given several times:
                ${Object.keys(BENCHMARKS).join(', ')};
                with --backend: ${Object.keys(BACKEND_BENCHMARKS).join(', ')}
  --soak        loads a server at the limit of this machine for --soak-minutes N (30) and samples memory, descriptors and
                latency, see test/faults/README.md; nothing else is measured
  --quick       fewer and smaller files
  --dir FOLDER  write here, on the disk to be measured (default: the system's temporary folder)
`;

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    backend: { type: 'string' },
    only: { type: 'string', multiple: true },
    soak: { type: 'boolean', default: false },
    'soak-minutes': { type: 'string', default: '30' },
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
    process.stderr.write(unknown.length > 0 ? `Unknown: ${unknown.join(', ')}${where}.\n${HELP}` : HELP);
    process.exitCode = values.help ? 0 : 64;
    return;
  }
  const folder = await mkdtemp(join(values.dir, 'trainyard-bench-'));
  // What the measured commands remember is not for the person who measures.
  process.env.XDG_CONFIG_HOME = join(folder, 'settings');
  if (values.soak) {
    const log = (line: string) => process.stderr.write(`  soak: ${line}\n`);
    try {
      const tables = await soak({ minutes: Number(values['soak-minutes']), folder, log });
      process.stdout.write(`\n${await machineLine(folder)}\n\n${tables}\n`);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
    return;
  }
  const started = new Backends(folder);
  const rows: Row[] = [];
  try {
    for (const name of values.only ?? Object.keys(benchmarks)) {
      const own = join(folder, name);
      await mkdir(own);
      const startedAt = performance.now();
      const log = (line: string) => process.stderr.write(`  ${name}: ${line}\n`);
      const newInstallation = (...wanted: readonly Backend[]) => started.newInstallation(...wanted);
      rows.push(...(await benchmarks[name]!({ folder: own, isQuick: values.quick, backends, newInstallation, log })));
      log(`done in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
      await rm(own, { recursive: true, force: true });
    }
    process.stdout.write(`\n${await machineLine(folder)}\n\n${tableOf(rows)}\n`);
  } finally {
    await started.stop().finally(() => rm(folder, { recursive: true, force: true }));
  }
}

function benchmarksOn(backends: readonly Backend[]): Readonly<Record<string, Benchmark>> {
  if (backends.length === 0) return BENCHMARKS;
  const possible = Object.entries(BACKEND_BENCHMARKS).filter(([, { needs }]) =>
    needs.every((need) => backends.includes(need)),
  );
  return Object.fromEntries(possible.map(([name, { run }]) => [name, run]));
}

await main();
