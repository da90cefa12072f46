import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { Api } from '../../test/harness/api.js';
import { discardServer, startServer } from '../../test/harness/server.js';
import { startTcpProxy } from '../../test/harness/tcp-link.js';
import type { EmptyInstallation } from '../backends.js';
import type { Benchmark, Run } from '../bench.js';
import { alternate } from '../measure.js';
import { writePhotos } from '../photos.js';
import { formatFigure, type Row, rowWithoutTarget, rowWithTarget } from '../table.js';

const LISTING = /^GET \S*[?&]list-type=2/;
const POLL_EVERY_MS = 500;
const STATUS_EVERY_MS = 10;

/** Presigned uploads to a bucket: listing requests for each poll, and the time until they are noticed and checked. */
export const benchPresigned: Benchmark = async (run) => {
  const installation = await run.newInstallation(...run.backends);
  try {
    return [await listings(installation, run), await noticed(installation, run)];
  } finally {
    await installation.discard();
  }
};

/** Counts listing requests of datasets with pending uploads, first without polls, then with polls for the same time. */
async function listings(installation: EmptyInstallation, { folder, isQuick, log }: Run): Promise<Row> {
  const datasets = isQuick ? 4 : 10;
  const seconds = isQuick ? 6 : 20;
  const store = new URL(installation.env.TEST_S3_ENDPOINT!);
  const proxy = await startTcpProxy({ host: store.hostname, port: Number(store.port) });
  const url = new URL(installation.env.BLOBS_URL!);
  url.searchParams.set('endpoint', `http://127.0.0.1:${proxy.port}`);
  const env = { ...installation.env, BLOBS_URL: url.href };
  const server = await startServer({}, { dataFolder: join(folder, 'counted'), env });
  try {
    const api = await server.api();
    const ids = await Promise.all(Array.from({ length: datasets }, () => api.newDataset()));
    for (const id of ids) await api.links(id, { 'a.jpg': 200_000, 'a.txt': 70 });
    const listed = () => proxy.conversations.flatMap((each) => each.trips).filter((text) => LISTING.test(text)).length;
    const polls = Math.round((seconds * 1000) / POLL_EVERY_MS);
    const during = async (poll: () => Promise<unknown>) => {
      const before = listed();
      for (let i = 0; i < polls; i++) await Promise.all([poll(), wait(POLL_EVERY_MS)]);
      return listed() - before;
    };
    const unpolled = await during(async () => {});
    const polled = await during(() => Promise.all(ids.map((id) => api.status(id))));
    log(`${unpolled} listings without a poll, ${polled} with ${polls} of each of ${datasets} datasets`);
    const each = (polled - unpolled) / polls / datasets;
    const row = {
      what: `listing requests to the store for each dataset and poll, ${installation.name}`,
      measured: formatFigure(each),
      reference: `limit 1 (without polls: ${formatFigure(unpolled / seconds / datasets)} a second for each dataset)`,
      ratio: each,
    };
    return rowWithTarget(row, { atMost: 1 });
  } finally {
    await discardServer(server);
    await proxy.close();
  }
}

/** The time from the last PUT's answer until READY, polled constantly, against uploads through the service. */
async function noticed(installation: EmptyInstallation, { folder, isQuick, log }: Run): Promise<Row> {
  const [path] = await writePhotos(folder, 1);
  const image = await readFile(path!);
  const caption = 'a red wagon on a siding';
  const server = await startServer({}, { dataFolder: join(folder, 'timed'), env: installation.env });
  try {
    const api = await server.api();
    const presigned = async () => {
      const id = await api.newDataset();
      const { body } = await api.links(id, { 'a.jpg': image.length, 'a.txt': caption.length });
      await putTo(body.uploads['a.txt']!.upload_url, caption);
      await putTo(body.uploads['a.jpg']!.upload_url, image);
      return millisecondsUntilReady(api, id);
    };
    const direct = async () => {
      const id = await api.newDataset();
      const startedAt = performance.now();
      for (const [name, bytes] of [
        ['a.txt', caption],
        ['a.jpg', image],
      ] as const) {
        const { status, body } = await api.upload(id, name, bytes);
        if (status !== 200) throw new Error(`the upload of ${name} was answered ${status}: ${JSON.stringify(body)}`);
      }
      return performance.now() - startedAt;
    };
    for (let i = 0; i < (isQuick ? 5 : 20); i++) await Promise.all([presigned(), direct()]);
    const times = await alternate({ presigned, direct }, isQuick ? 9 : 31);
    log(`READY ${formatFigure(times.presigned)} ms after the PUT`);
    return rowWithoutTarget({
      what: `from the last PUT of a pair to the bucket until READY, ${installation.name}`,
      measured: `${formatFigure(times.presigned)} ms`,
      reference: `both through the service: ${formatFigure(times.direct)} ms`,
      ratio: times.presigned / times.direct,
    });
  } finally {
    await discardServer(server);
  }
}

async function putTo(url: string, body: Uint8Array | string): Promise<void> {
  const response = await fetch(url, { method: 'PUT', body: body as Uint8Array<ArrayBuffer> });
  if (!response.ok) throw new Error(`the store answered ${response.status}: ${await response.text()}`);
}

async function millisecondsUntilReady(api: Api, id: string): Promise<number> {
  for (const startedAt = performance.now(); ; await wait(STATUS_EVERY_MS)) {
    const { body } = await api.status(id);
    if (body.status === 'READY') return performance.now() - startedAt;
    if (body.status === 'FAILED') throw new Error(`the dataset is FAILED: ${body.error?.message}`);
  }
}
