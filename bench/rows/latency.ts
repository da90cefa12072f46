import { join } from 'node:path';
import { BASE_PATH } from '../../src/api/limits.js';
import { discardServer, startServer } from '../../test/harness/server.js';
import type { EmptyInstallation } from '../backends.js';
import type { Benchmark, Run } from '../bench.js';
import { Connection, mustSucceed } from '../connection.js';
import { type Filled, fillCatalog } from '../fill.js';
import { median } from '../measure.js';
import { formatFigure, type Row, rowWithTarget } from '../table.js';

const SMALL = { images: 2, captions: 2 };
/** After a change, and polled again. */
const STATUS_LIMIT_MS = { first: 60, again: 10 };
/** Further datasets, so that a Postgres has a million files in total, or over half a million with `--quick`. */
const REST = { account: 'rest', datasets: 445, images: 500, captions: 500 };

/** The status of a dataset among few and among many, a list of small and of large datasets, the status of a large one. */
export const benchLatency: Benchmark = async (run) => {
  const database = run.backends.filter((backend) => backend === 'postgres');
  const installations = { few: await run.newInstallation(...database), many: await run.newInstallation(...database) };
  try {
    return await latencyOn(installations, run);
  } finally {
    await installations.few.discard();
    await installations.many.discard();
  }
};

async function latencyOn(
  installations: { few: EmptyInstallation; many: EmptyInstallation },
  { folder, isQuick, log }: Run,
): Promise<Row[]> {
  const many = isQuick ? 2000 : 10_000;
  const listed = isQuick ? 200 : 1000;
  const folders = { few: join(folder, 'few'), many: join(folder, 'many') };
  const where = (name: keyof typeof installations) => ({
    dataFolder: folders[name],
    databaseUrl: installations[name].env.DATABASE_URL,
  });
  const on = installations.many.env.DATABASE_URL === undefined ? '' : ', Postgres';
  const [amongFew] = await fillCatalog(where('few'), [{ account: 'few', datasets: 10, ...SMALL }]);
  const [amongMany, thin, thick, big] = await fillCatalog(where('many'), [
    { account: 'many', datasets: many, ...SMALL },
    { account: 'thin', datasets: listed, images: 2, captions: 3 },
    { account: 'thick', datasets: listed, images: 250, captions: 250 },
    { account: 'big', datasets: 1, images: 5000, captions: 5000 },
    ...(on === '' ? [] : [REST]),
  ]);
  log('filled the catalogs');
  const few = await startServer({}, { dataFolder: folders.few, env: installations.few.env });
  const full = await startServer({}, { dataFolder: folders.many, env: installations.many.env });
  try {
    const toFew = await Connection.open(few.url);
    const toFull = await Connection.open(full.url);
    const statusOf = (filled: Filled | undefined) => requestFor(`/${middleOf(filled!)}/status`, filled!.token);
    const renameOf = (filled: Filled | undefined, name: string) =>
      requestFor(`/${middleOf(filled!)}`, filled!.token, { method: 'PATCH', body: { name } });
    const status = await latencies(isQuick ? 300 : 1000, {
      few: [toFew, statusOf(amongFew)],
      many: [toFull, statusOf(amongMany)],
    });
    const list = await latencies(isQuick ? 11 : 31, {
      thin: [toFull, requestFor('', thin!.token)],
      thick: [toFull, requestFor('', thick!.token)],
      rename: [toFull, renameOf(big, 'renamed')],
      big: [toFull, statusOf(big)],
      again: [toFull, statusOf(big)],
      'rename back': [toFull, renameOf(big, 'as before')],
    });
    toFew.close();
    toFull.close();
    const flat = {
      what: `status of a dataset of 4 files among ${many.toLocaleString('en-US')} datasets${on}`,
      measured: `${formatFigure(status.many)} ms`,
      reference: `among 10: ${formatFigure(status.few)} ms`,
      ratio: status.many / status.few,
    };
    const listing = {
      what: `list of ${listed} datasets of 500 files${on}`,
      measured: `${formatFigure(list.thick)} ms`,
      reference: `${listed} datasets of 5 files: ${formatFigure(list.thin)} ms`,
      ratio: list.thick / list.thin,
    };
    const bigStatus = {
      what: `status of a dataset of 10,000 files after a change${on}`,
      measured: `${formatFigure(list.big)} ms`,
      reference: `limit ${STATUS_LIMIT_MS.first} ms`,
      ratio: list.big / STATUS_LIMIT_MS.first,
    };
    const polled = {
      what: `the same, polled again${on}`,
      measured: `${formatFigure(list.again)} ms`,
      reference: `limit ${STATUS_LIMIT_MS.again} ms`,
      ratio: list.again / STATUS_LIMIT_MS.again,
    };
    return [
      rowWithTarget(flat, { atMost: 1.2 }),
      rowWithTarget(listing, { atMost: 3 }),
      rowWithTarget(bigStatus, { atMost: 1 }),
      rowWithTarget(polled, { atMost: 1 }),
    ];
  } finally {
    await discardServer(few);
    await discardServer(full);
  }
}

function middleOf({ datasetIds }: Filled): string {
  return datasetIds[datasetIds.length >> 1]!;
}

function requestFor(
  path: string,
  token: string,
  { method = 'GET', body }: { method?: string; body?: object } = {},
): string {
  const json = body === undefined ? '' : JSON.stringify(body);
  const ofBody = json === '' ? '' : `Content-Type: application/json\r\nContent-Length: ${json.length}\r\n`;
  return `${method} ${BASE_PATH}${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\n${ofBody}\r\n${json}`;
}

/** Sends the requests alternately, `rounds` times after a warm-up, and returns the medians in milliseconds. */
async function latencies<Name extends string>(
  rounds: number,
  requests: Readonly<Record<Name, readonly [Connection, string]>>,
): Promise<Record<Name, number>> {
  const names = Object.keys(requests) as Name[];
  const results = new Map<Name, number[]>(names.map((name) => [name, []]));
  for (let round = -Math.ceil(rounds / 2); round < rounds; round++) {
    for (const name of names) {
      const [connection, request] = requests[name];
      const startedAt = performance.now();
      mustSucceed(await connection.request(request));
      if (round >= 0) results.get(name)!.push(performance.now() - startedAt);
    }
  }
  return Object.fromEntries(names.map((name) => [name, median(results.get(name)!)])) as Record<Name, number>;
}
