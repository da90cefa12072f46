import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Api } from '../../test/harness/api.js';
import { discardServer, startServer, type TestServer } from '../../test/harness/server.js';
import type { Backend } from '../backends.js';
import type { Benchmark, Run } from '../bench.js';
import { median } from '../measure.js';
import { writePhotos } from '../photos.js';
import { busyDuring, postmasterOf, processorSeconds } from '../processor.js';
import { figure, judged, type Row, told } from '../table.js';
import { upload, type What } from '../uploading.js';

const CONNECTIONS = 8;
const TARGET = 1.6;
const ROUNDS = 3;

/** Two instances on one database against one of them, each with a dataset and connections of its own to serve. */
export const benchInstances: Benchmark = async (run) => {
  const { backends, folder, isQuick } = run;
  // With bytes in a folder of each, so that nothing is measured but services and database; no installation is like that.
  const rows = await compare(run, { backends: ['postgres'], what: 'captions', count: isQuick ? 600 : 1000 });
  if (backends.length < 2) return rows;
  const images = await writePhotos(folder, isQuick ? 20 : 60);
  return [...(await compare(run, { backends, what: { images }, count: isQuick ? 100 : 200 })), ...rows];
};

interface Contest {
  readonly backends: readonly Backend[];
  readonly what: What;
  /** Uploads to each instance. */
  readonly count: number;
}

interface Turn {
  /** Uploads each second. */
  readonly rate: number;
  /** The part of the machine that was busy. */
  readonly busy: number;
  /** Processor time of services and Postgres for each upload, in milliseconds. */
  readonly cost: number;
}

async function compare({ folder, newPlace, say }: Run, { backends, what, count }: Contest): Promise<Row[]> {
  const place = await newPlace(...backends);
  const unit = what === 'captions' ? 'captions' : 'pairs';
  const servers: TestServer[] = [];
  try {
    for (const name of ['one', 'two']) {
      servers.push(await startServer({}, { dataFolder: join(folder, `${unit}-${name}`), env: place.env }));
    }
    const { token } = await servers[0]!.api();
    const pids = [await postmasterOf(place.env.DATABASE_URL!), ...servers.map((server) => server.process.pid!)];
    const turn = async (instances: number): Promise<Turn> => {
      const apis = servers.slice(0, instances).map((server) => new Api(server.url, token));
      const spentBefore = processorSeconds(pids);
      const { result, busy } = await busyDuring(() =>
        Promise.all(apis.map((api) => upload(api, what, { count, connections: CONNECTIONS }))),
      );
      const seconds = Math.max(...result.map((each) => each.seconds));
      const uploads = count * instances;
      const cost = ((processorSeconds(pids) - spentBefore) * 1000) / uploads;
      say(`${instances}: ${figure(uploads / seconds)} ${unit}/s, ${figure(cost)} ms of processor time each`);
      return { rate: uploads / seconds, busy, cost };
    };
    await turn(2);
    await turn(2);
    const turns: { one: Turn[]; two: Turn[] } = { one: [], two: [] };
    for (let round = 0; round < ROUNDS; round++) {
      turns.one.push(await turn(1));
      turns.two.push(await turn(2));
    }
    return rowsOf(turns, { unit, name: place.name });
  } finally {
    for (const server of servers) await discardServer(server);
    await place.discard();
  }
}

function rowsOf(turns: { one: Turn[]; two: Turn[] }, { unit, name }: { unit: string; name: string }): Row[] {
  const of = (instances: 'one' | 'two', figureOf: (turn: Turn) => number) => median(turns[instances].map(figureOf));
  const [one, two] = [of('one', ({ rate }) => rate), of('two', ({ rate }) => rate)];
  const [costOfOne, costOfTwo] = [of('one', ({ cost }) => cost), of('two', ({ cost }) => cost)];
  const busy = of('one', (turn) => turn.busy);
  const rate = {
    what: `${unit} through two instances, ${name}`,
    measured: `${figure(two)} ${unit}/s`,
    reference: `one: ${figure(one)} ${unit}/s, ${Math.round(busy * 100)} % of ${availableParallelism()} cores busy`,
    ratio: two / one,
  };
  const cost = {
    what: `processor time of services and Postgres for one of ${unit}, two instances, ${name}`,
    measured: `${figure(costOfTwo)} ms`,
    reference: `one: ${figure(costOfOne)} ms`,
    ratio: costOfTwo / costOfOne,
  };
  return [
    // A machine that one keeps busy has nothing left for two.
    busy * TARGET <= 1 ? judged(rate, { atLeast: TARGET }) : told(rate, `≥ ${TARGET} with cores for both`),
    // Twice the machine brings 1.6 times the uploads only where each of them costs no more than a quarter more.
    judged(cost, { atMost: 2 / TARGET }),
  ];
}
