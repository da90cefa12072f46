import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Api } from '../../test/harness/api.js';
import { discardServer, startServer, type TestServer } from '../../test/harness/server.js';
import type { Backend } from '../backends.js';
import type { Benchmark, Run } from '../bench.js';
import { median } from '../measure.js';
import { writePhotos } from '../photos.js';
import { busyDuring, postmasterOf, processorSeconds } from '../processor.js';
import { formatFigure, type Row, rowWithoutTarget, rowWithTarget } from '../table.js';
import { type UploadContent, upload } from '../uploading.js';

const CONNECTIONS = 8;
const TARGET = 1.6;
const ROUNDS = 3;

/** Two instances on one database, compared with one instance. Each has its own dataset and connections. */
export const benchInstances: Benchmark = async (run) => {
  const { backends, folder, isQuick } = run;
  // Bytes in a separate folder of each instance isolate the services and the database. Real installations share them.
  const rows = await compare(run, { backends: ['postgres'], what: 'captions', count: isQuick ? 600 : 1000 });
  if (backends.length < 2) return rows;
  const images = await writePhotos(folder, isQuick ? 20 : 60);
  return [...(await compare(run, { backends, what: { images }, count: isQuick ? 100 : 200 })), ...rows];
};

interface Comparison {
  readonly backends: readonly Backend[];
  readonly what: UploadContent;
  /** Uploads to each instance. */
  readonly count: number;
}

interface Measurement {
  /** Uploads each second. */
  readonly rate: number;
  /** The busy share of the machine, 0 to 1. */
  readonly busy: number;
  /** Processor time of services and Postgres for each upload, in milliseconds. */
  readonly cost: number;
}

async function compare({ folder, newInstallation, log }: Run, { backends, what, count }: Comparison): Promise<Row[]> {
  const installation = await newInstallation(...backends);
  const unit = what === 'captions' ? 'captions' : 'pairs';
  const servers: TestServer[] = [];
  try {
    for (const name of ['one', 'two']) {
      servers.push(await startServer({}, { dataFolder: join(folder, `${unit}-${name}`), env: installation.env }));
    }
    const { token } = await servers[0]!.api();
    const pids = [await postmasterOf(installation.env.DATABASE_URL!), ...servers.map((server) => server.process.pid!)];
    const measure = async (instances: number): Promise<Measurement> => {
      const apis = servers.slice(0, instances).map((server) => new Api(server.url, token));
      const spentBefore = processorSeconds(pids);
      const { result, busy } = await busyDuring(() =>
        Promise.all(apis.map((api) => upload(api, what, { count, connections: CONNECTIONS }))),
      );
      const seconds = Math.max(...result.map((each) => each.seconds));
      const uploads = count * instances;
      const cost = ((processorSeconds(pids) - spentBefore) * 1000) / uploads;
      log(
        `${instances}: ${formatFigure(uploads / seconds)} ${unit}/s, ${formatFigure(cost)} ms of processor time each`,
      );
      return { rate: uploads / seconds, busy, cost };
    };
    await measure(2);
    await measure(2);
    const measurements: { one: Measurement[]; two: Measurement[] } = { one: [], two: [] };
    for (let round = 0; round < ROUNDS; round++) {
      measurements.one.push(await measure(1));
      measurements.two.push(await measure(2));
    }
    return rowsOf(measurements, { unit, name: installation.name });
  } finally {
    for (const server of servers) await discardServer(server);
    await installation.discard();
  }
}

function rowsOf(
  measurements: { one: Measurement[]; two: Measurement[] },
  { unit, name }: { unit: string; name: string },
): Row[] {
  const of = (instances: 'one' | 'two', figureOf: (measurement: Measurement) => number) =>
    median(measurements[instances].map(figureOf));
  const [one, two] = [of('one', ({ rate }) => rate), of('two', ({ rate }) => rate)];
  const [costOfOne, costOfTwo] = [of('one', ({ cost }) => cost), of('two', ({ cost }) => cost)];
  const busy = of('one', (measurement) => measurement.busy);
  const rate = {
    what: `${unit} through two instances, ${name}`,
    measured: `${formatFigure(two)} ${unit}/s`,
    reference: `one: ${formatFigure(one)} ${unit}/s, ${Math.round(busy * 100)} % of ${availableParallelism()} cores busy`,
    ratio: two / one,
  };
  const cost = {
    what: `processor time of services and Postgres for each ${unit.slice(0, -1)}, two instances, ${name}`,
    measured: `${formatFigure(costOfTwo)} ms`,
    reference: `one: ${formatFigure(costOfOne)} ms`,
    ratio: costOfTwo / costOfOne,
  };
  return [
    // If one instance uses all cores, a second one can't be faster.
    busy * TARGET <= 1
      ? rowWithTarget(rate, { atLeast: TARGET })
      : rowWithoutTarget(rate, `≥ ${TARGET} with cores for both`),
    // Twice the cores give 1.6 times the uploads only if each upload takes at most 1.25 times the processor time.
    rowWithTarget(cost, { atMost: 2 / TARGET }),
  ];
}
