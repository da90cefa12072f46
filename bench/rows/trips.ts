import { tripsForRequests } from '../../test/harness/round-trips.js';
import { discardServer, eventually, startServer } from '../../test/harness/server.js';
import { startTcpProxy } from '../../test/harness/tcp-proxy.js';
import type { Benchmark } from '../bench.js';
import { median } from '../measure.js';
import { judged } from '../table.js';
import { upload } from '../uploading.js';

const CONNECTIONS = 4;
const MOST = 3;
/** Several uploads at once on busy cores: what belongs to one trip is not always written at once. */
const ANSWER_DELAY_MS = 25;

/** How often a direct upload waits for Postgres, seen on the line between the two. */
export const benchTrips: Benchmark = async ({ folder, isQuick, backends, newPlace }) => {
  const uploads = isQuick ? 200 : 500;
  const place = await newPlace(...backends);
  const url = new URL(place.env.DATABASE_URL!);
  const database = { host: url.hostname, port: Number(url.port || 5432) };
  const proxy = await startTcpProxy(database, { answerDelayMs: ANSWER_DELAY_MS });
  url.host = `127.0.0.1:${proxy.port}`;
  const server = await startServer({}, { dataFolder: folder, env: { ...place.env, DATABASE_URL: url.href } });
  try {
    const api = await server.api();
    // Connections are made first, and tokens remembered only once revocations are heard of.
    await eventually(() => proxy.conversations.some(({ trips }) => /listen trainyard/.test(trips.join())) || undefined);
    await upload(api, 'captions', { count: 50, connections: CONNECTIONS });
    const id = await api.newDataset();
    const before = tripsForRequests(proxy);
    const counts: number[] = [];
    let counted = before.changes.length;
    for (let i = 0; i < uploads; i += CONNECTIONS) {
      const names = Array.from({ length: CONNECTIONS }, (_, j) => `${i + j}.txt`);
      await Promise.all(names.map((name) => api.upload(id, name, `a caption, called ${name}`)));
      const { changes } = tripsForRequests(proxy);
      counts.push((changes.length - counted) / CONNECTIONS);
      counted = changes.length;
    }
    const after = tripsForRequests(proxy);
    // A busy machine now and then splits in two on its way what was sent without waiting.
    const trips = median(counts);
    const lookups = after.lookups.length - before.lookups.length;
    const row = {
      what: `round trips to Postgres of a direct upload, ${place.name}`,
      measured: `${trips.toFixed(2)}, and ${lookups} to look up the token in ${uploads} uploads`,
      reference: `limit ${MOST}`,
      ratio: trips / MOST,
    };
    return [judged(row, { atMost: 1 })];
  } finally {
    await discardServer(server);
    await proxy.close();
    await place.discard();
  }
};
