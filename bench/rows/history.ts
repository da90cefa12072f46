import { mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BASE_PATH } from '../../src/api/limits.js';
import { TrainyardClient } from '../../src/client/client.js';
import { discardServer, startServer, type TestServer } from '../../test/harness/server.js';
import type { Benchmark } from '../bench.js';
import { Connection, mustSucceed } from '../connection.js';
import { fillCatalog } from '../fill.js';
import { fillBlobs } from '../fill-blobs.js';
import { median, secondsOf } from '../measure.js';
import { writePhotos } from '../photos.js';
import { formatFigure, rowWithTarget } from '../table.js';

const PHOTOS = 4;
const PAGE_SIZE = 50;
const ROUNDS = 15;

const LIMIT_BULK_SECONDS = 20;
const LIMIT_RESTORE_SECONDS = 2;
const LIMIT_PAGE_MS = 1000;
const LIMIT_BYTES_PER_EDIT = 2000;

/** A dataset that was filled, and a token of its account. */
interface Target {
  readonly token: string;
  readonly id: string;
}

/** A bulk change, a restore, and a dataset with a long history beside one without. */
export const benchHistory: Benchmark = async ({ folder, isQuick, log }) => {
  const count = isQuick ? 1000 : 10_000;
  const files = count.toLocaleString('en-US');
  const dataFolder = join(folder, 'data');
  await mkdir(dataFolder);
  // As many captions as a bulk change has; the others have so many files.
  const sizes = { bulk: count, restored: count / 2, edited: count / 2, fresh: count / 2 };
  const filled = await fillCatalog(
    { dataFolder },
    Object.entries(sizes).map(([account, pairs]) => ({ account, datasets: 1, images: pairs, captions: pairs })),
  );
  const photos = await writePhotos(folder, PHOTOS);
  await fillBlobs(dataFolder, await Promise.all(photos.map((path) => readFile(path))));
  log('filled the catalog');
  const [bulk, restored, edited, fresh] = filled.map(({ token, datasetIds }) => ({ token, id: datasetIds[0]! }));
  const before = await startServer({}, { dataFolder });
  const bulkSeconds = await bulkChange(before, bulk!);
  log(`bulk change: ${formatFigure(bulkSeconds)} s`);
  const restoreSeconds = await emptyAndRestore(before, restored!);
  log(`restore: ${formatFigure(restoreSeconds)} s`);
  await before.stop();

  const bytesBefore = await catalogBytes(dataFolder);
  const server = await startServer({}, { dataFolder });
  const editSeconds = await secondsOf(() => editEach(server, edited!, count));
  log(`${formatFigure(count / editSeconds)} edits/s`);
  const first = await millisecondsOf(server, [revisionsOf(edited!)]);
  const again = await millisecondsOf(server, Array(ROUNDS).fill(revisionsOf(edited!)));
  log(`a page of revisions: ${formatFigure(first)} ms, again ${formatFigure(again)} ms`);
  const status = { edited: [] as number[], fresh: [] as number[] };
  for (let round = 0; round < ROUNDS; round++) {
    // After a change, so that the status is not the one that the service remembers.
    for (const target of [edited!, fresh!]) {
      await clientOf(server, target).datasets.change(target.id, { name: `round ${round}` });
    }
    status.edited.push(await millisecondsOf(server, [statusOf(edited!)]));
    status.fresh.push(await millisecondsOf(server, [statusOf(fresh!)]));
  }
  const [long, short] = [median(status.edited), median(status.fresh)];
  await server.stop();
  const growth = (await catalogBytes(dataFolder)) - bytesBefore;
  await discardServer(server);

  return [
    rowWithTarget(
      {
        what: `bulk change of ${files} captions: read, then saved`,
        measured: `${formatFigure(bulkSeconds)} s`,
        reference: `limit ${LIMIT_BULK_SECONDS} s`,
        ratio: bulkSeconds / LIMIT_BULK_SECONDS,
      },
      { atMost: 1 },
    ),
    rowWithTarget(
      {
        what: `restore of a revision of ${files} files into an empty dataset`,
        measured: `${formatFigure(restoreSeconds)} s`,
        reference: `limit ${LIMIT_RESTORE_SECONDS} s`,
        ratio: restoreSeconds / LIMIT_RESTORE_SECONDS,
      },
      { atMost: 1 },
    ),
    rowWithTarget(
      {
        what: `status of a dataset of ${files} files with ${files} revisions, after a change`,
        measured: `${formatFigure(long)} ms`,
        reference: `without revisions: ${formatFigure(short)} ms`,
        ratio: long / short,
      },
      { atMost: 1.2 },
    ),
    rowWithTarget(
      {
        what: `first page of ${PAGE_SIZE} of these revisions, its digests included`,
        measured: `${formatFigure(first)} ms, again ${formatFigure(again)} ms`,
        reference: `limit ${LIMIT_PAGE_MS} ms`,
        ratio: first / LIMIT_PAGE_MS,
      },
      { atMost: 1 },
    ),
    rowWithTarget(
      {
        what: `growth of the catalog by ${files} edits of a dataset of ${files} files`,
        measured: `${formatFigure(growth / 1e6)} MB`,
        reference: `limit ${formatFigure((count * LIMIT_BYTES_PER_EDIT) / 1e6)} MB`,
        ratio: growth / (count * LIMIT_BYTES_PER_EDIT),
      },
      { atMost: 1 },
    ),
  ];
};

function clientOf(server: TestServer, { token }: Target, change?: { how: 'bulk'; id: string }): TrainyardClient {
  return new TrainyardClient({ baseUrl: server.url, token, ...(change && { change }) });
}

/** Adds a word to every caption, as the page does: reads the texts, and saves those that have not changed since. */
async function bulkChange(server: TestServer, target: Target): Promise<number> {
  const client = clientOf(server, target, { how: 'bulk', id: 'a-bulk-change' });
  const names = await captionsOf(client, target);
  return secondsOf(async () => {
    const captions = await client.bulk.captions(target.id, names);
    const changed = captions.map(({ filename, text, etag }) => ({ filename, text: `${text} again`, ifMatch: etag }));
    const saved = await client.bulk.saveCaptions(target.id, changed);
    const count = saved.filter((caption) => caption.saved).length;
    if (count !== names.length) throw new Error(`${count} of ${names.length} captions were saved`);
  });
}

/** Removes all files of a dataset, and measures how long the restore of the revision before takes. */
async function emptyAndRestore(server: TestServer, target: Target): Promise<number> {
  const client = clientOf(server, target, { how: 'bulk', id: 'all-files' });
  const { files } = await client.status(target.id);
  // Before this change, the history has no revision of a dataset that was filled without the service.
  const [caption] = await captionsOf(client, target);
  await client.bulk.saveCaptions(target.id, [{ filename: caption!, text: 'the first edit' }]);
  const { revisions } = await client.history.revisions(target.id, { limit: 1 });
  await client.bulk.removeFiles(
    target.id,
    files.map(({ filename }) => filename),
  );
  const seconds = await secondsOf(() => client.history.restore(target.id, revisions[0]!.number));
  const { counts } = await client.status(target.id);
  if (counts.images + counts.captions !== files.length) throw new Error('the restored dataset lacks files');
  return seconds;
}

async function captionsOf(client: TrainyardClient, { id }: Target): Promise<string[]> {
  const { files } = await client.status(id);
  return files.filter(({ kind }) => kind === 'caption').map(({ filename }) => filename);
}

/** So many edits, each of the next caption and a revision of its own. */
async function editEach(server: TestServer, target: Target, edits: number): Promise<void> {
  const names = await captionsOf(clientOf(server, target), target);
  const connection = await Connection.open(server.url);
  for (let i = 0; i < edits; i++) {
    const body = JSON.stringify({ captions: [{ filename: names[i % names.length], text: `edit ${i}` }] });
    const length = Buffer.byteLength(body);
    const headers = `Trainyard-Change: edit; edit-${i}\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n`;
    const request = requestTo(target, { method: 'PUT', path: '/captions', headers });
    mustSucceed(await connection.request(`${request}${body}`));
  }
  connection.close();
}

const statusOf = (target: Target) => requestTo(target, { method: 'GET', path: '/status' });
const revisionsOf = (target: Target) => requestTo(target, { method: 'GET', path: `/revisions?limit=${PAGE_SIZE}` });

function requestTo(
  { token, id }: Target,
  { method, path, headers = '' }: { method: string; path: string; headers?: string },
): string {
  const start = `${method} ${BASE_PATH}/${id}${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n`;
  return `${start}Authorization: Bearer ${token}\r\n${headers}\r\n`;
}

/** The median time of an answer. */
async function millisecondsOf(server: TestServer, requests: readonly string[]): Promise<number> {
  const connection = await Connection.open(server.url);
  const times: number[] = [];
  for (const request of requests) {
    times.push((await secondsOf(async () => mustSucceed(await connection.request(request)))) * 1000);
  }
  connection.close();
  return median(times);
}

/** The size of the catalog of a server that was stopped. */
async function catalogBytes(dataFolder: string): Promise<number> {
  const sizes = ['catalog.sqlite', 'catalog.sqlite-wal'].map((name) =>
    stat(join(dataFolder, name)).then(
      ({ size }) => size,
      () => 0,
    ),
  );
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size);
}
