import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TrainyardClient } from '../../src/client/client.js';
import { BASE_PATH } from '../../src/api/limits.js';
import { discardServer, startServer } from '../../test/harness/server.js';
import type { Benchmark } from '../bench.js';
import { Connection, mustSucceed } from '../connection.js';
import { fillCatalog } from '../fill.js';
import { median, secondsOf } from '../measure.js';
import { writePhotos } from '../photos.js';
import { formatFigure, rowWithoutTarget, rowWithTarget } from '../table.js';

const ROUNDS = 9;

const LIMIT_LINK_SECONDS = 1;

/** A dataset with two controls beside one without: its links, its status, and a change of one file. */
export const benchPairs: Benchmark = async ({ folder, isQuick, log }) => {
  const count = isQuick ? 1000 : 10_000;
  const images = count.toLocaleString('en-US');
  const dataFolder = join(folder, 'data');
  await mkdir(dataFolder);
  const filling = { account: 'pairs', datasets: 4, images: count, captions: count };
  const [filled] = await fillCatalog({ dataFolder }, [filling]);
  const { token, datasetIds } = filled!;
  const [target, control, pose, plain] = datasetIds as [string, string, string, string];
  const server = await startServer({}, { dataFolder });
  const client = new TrainyardClient({ baseUrl: server.url, token });
  const connection = await Connection.open(server.url);
  const request = (method: string, path: string, body?: object) => {
    const text = body === undefined ? '' : JSON.stringify(body);
    const json = `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n`;
    const start = `${method} ${BASE_PATH}${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\n`;
    return `${start}${text === '' ? '' : json}\r\n${text}`;
  };
  const millisecondsOf = async (text: string) =>
    (await secondsOf(async () => mustSucceed(await connection.request(text)))) * 1000;
  for (const id of [control, pose]) {
    mustSucceed(await connection.request(request('PATCH', `/${id}`, { role: 'control' })));
  }
  // The first request compiles statements.
  await millisecondsOf(request('GET', `/${plain}/status`));
  const linkSeconds =
    (await millisecondsOf(request('PUT', `/${target}/links`, { control_1: control, control_2: pose }))) / 1000;
  log(`links: ${formatFigure(linkSeconds)} s, with the answer`);
  const { status, counts } = await client.status(target);
  if (counts.unpaired !== 0) throw new Error(`the target is ${status} with ${counts.unpaired} errors of pairs`);

  const times = { list: [] as number[], status: [] as number[], plainStatus: [] as number[] };
  for (let round = 0; round < ROUNDS; round++) {
    times.plainStatus.push(await millisecondsOf(request('GET', `/${plain}/status`)));
    times.status.push(await millisecondsOf(request('GET', `/${target}/status`)));
    times.list.push(await millisecondsOf(request('GET', '')));
  }
  const [photo] = await writePhotos(folder, 1);
  const bytes = await readFile(photo!);
  const uploads = { linked: [] as number[], plain: [] as number[] };
  for (let round = 0; round < ROUNDS * 3; round++) {
    for (const [id, into] of [
      [control, uploads.linked],
      [plain, uploads.plain],
    ] as const) {
      into.push((await secondsOf(() => client.upload(id, `image_${round}.jpg`, new Blob([bytes])))) * 1000);
    }
  }
  connection.close();
  await discardServer(server);
  const [withLinks, without] = [median(times.status), median(times.plainStatus)];
  const [linkedUpload, plainUpload] = [median(uploads.linked), median(uploads.plain)];
  return [
    rowWithTarget(
      {
        what: `linking ${images} images to two controls for each, with the answer`,
        measured: `${formatFigure(linkSeconds)} s`,
        reference: `limit ${LIMIT_LINK_SECONDS} s`,
        ratio: linkSeconds / LIMIT_LINK_SECONDS,
      },
      { atMost: 1 },
    ),
    rowWithoutTarget({
      what: `status of ${images} pairs with two controls for each, polled again; list of 4 datasets ${formatFigure(median(times.list))} ms`,
      measured: `${formatFigure(withLinks)} ms`,
      reference: `without links: ${formatFigure(without)} ms`,
      ratio: withLinks / without,
    }),
    rowWithTarget(
      {
        what: 'upload of an image that replaces a control, median',
        measured: `${formatFigure(linkedUpload)} ms`,
        reference: `in a dataset without links: ${formatFigure(plainUpload)} ms`,
        ratio: linkedUpload / plainUpload,
      },
      { atMost: 1.2 },
    ),
  ];
};
