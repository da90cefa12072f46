import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Benchmark } from './bench.js';
import { machineLine } from './machine.js';
import { benchGrowth } from './rows/growth.js';
import { benchLatency } from './rows/latency.js';
import { benchMemory } from './rows/memory.js';
import { benchMount } from './rows/mount.js';
import { benchPush } from './rows/push.js';
import { benchStart } from './rows/start.js';
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
};

const HELP = `npm run bench -- [--quick] [--only NAME]… [--dir FOLDER]

Measures what docs/performance.md speaks of and prints a table. Ends with 0 also where something falls short.

  --only NAME   ${Object.keys(BENCHMARKS).join(', ')}; may be given several times
  --quick       fewer and smaller
  --dir FOLDER  where to write, on the disk that matters (default: the system's folder for temporary files)
`;

const { values } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', multiple: true },
    dir: { type: 'string', default: tmpdir() },
    help: { type: 'boolean', default: false },
  },
});

async function main(): Promise<void> {
  const unknown = (values.only ?? []).filter((name) => BENCHMARKS[name] === undefined);
  if (values.help || unknown.length > 0) {
    process.stderr.write(unknown.length > 0 ? `There is no ${unknown.join(', ')}.\n${HELP}` : HELP);
    process.exitCode = values.help ? 0 : 64;
    return;
  }
  const folder = await mkdtemp(join(values.dir, 'trainyard-bench-'));
  const rows: Row[] = [];
  try {
    for (const name of values.only ?? Object.keys(BENCHMARKS)) {
      const own = join(folder, name);
      await mkdir(own);
      const startedAt = performance.now();
      const say = (line: string) => process.stderr.write(`  ${name}: ${line}\n`);
      rows.push(...(await BENCHMARKS[name]!({ folder: own, isQuick: values.quick, say })));
      say(`done in ${((performance.now() - startedAt) / 1000).toFixed(1)} s`);
      await rm(own, { recursive: true });
    }
    process.stdout.write(`\n${await machineLine(folder)}\n\n${tableOf(rows)}\n`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

await main();
