import { tripsForRequests } from '../count-trips.js';
import { discardServer, startServer } from '../../test/harness/server.js';
import { startTcpProxy } from '../../test/harness/tcp-link.js';
import type { Benchmark } from '../bench.js';
import { median } from '../measure.js';
import { rowWithTarget } from '../table.js';
import { upload } from '../uploading.js';

const CONNECTIONS = 4;
/** The token, one to reserve, two to finalize. */
const LIMIT = 4;
/** The proxy delays answers, since a server on busy cores may write the messages of one round trip in several parts. */
const ANSWER_DELAY_MS = 25;

/** The number of round trips of a direct upload to Postgres, counted at a proxy. */
export const benchRoundTrips: Benchmark = async ({ folder, isQuick, backends, newInstallation }) => {
  const uploads = isQuick ? 200 : 500;
  const installation = await newInstallation(...backends);
  const url = new URL(installation.env.DATABASE_URL!);
  const database = { host: url.hostname, port: Number(url.port || 5432) };
  const proxy = await startTcpProxy(database, { answerDelayMs: ANSWER_DELAY_MS });
  url.host = `127.0.0.1:${proxy.port}`;
  const server = await startServer({}, { dataFolder: folder, env: { ...installation.env, DATABASE_URL: url.href } });
  try {
    const api = await server.api();
    await upload(api, 'captions', { count: 50, connections: CONNECTIONS });
    const id = await api.newDataset();
    const counts: number[] = [];
    let counted = tripsForRequests(proxy).length;
    for (let i = 0; i < uploads; i += CONNECTIONS) {
      const names = Array.from({ length: CONNECTIONS }, (_, j) => `${i + j}.txt`);
      await Promise.all(names.map((name) => api.upload(id, name, `a caption, called ${name}`)));
      const { length } = tripsForRequests(proxy);
      counts.push((length - counted) / CONNECTIONS);
      counted = length;
    }
    // A busy machine sometimes splits one round trip in two.
    const trips = median(counts);
    const row = {
      what: `round trips to Postgres of a direct upload, ${installation.name}`,
      measured: trips.toFixed(2),
      reference: `limit ${LIMIT}`,
      ratio: trips / LIMIT,
    };
    return [rowWithTarget(row, { atMost: 1 })];
  } finally {
    await discardServer(server);
    await proxy.close();
    await installation.discard();
  }
};
