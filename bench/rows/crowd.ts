import { BASE_PATH } from '../../src/api/limits.js';
import { gatherCrowd } from '../crowd.js';
import { discardServer, startServer } from '../../test/harness/server.js';
import type { Benchmark } from '../bench.js';
import { Connection, mustSucceed } from '../connection.js';
import { formatFigure, rowWithTarget } from '../table.js';

const SENDERS = 300;
const READERS = 500;

/** The status of a dataset while hundreds of clients send and read slowly, beside the same without them. */
export const benchCrowd: Benchmark = async ({ folder, isQuick, log }) => {
  const server = await startServer({}, { dataFolder: folder });
  try {
    const api = await server.api();
    const id = await api.newDataset();
    await api.upload(id, 'caption.txt', 'a red wagon');
    const { host } = new URL(server.url);
    const connection = await Connection.open(server.url);
    const status = `GET ${BASE_PATH}/${id}/status HTTP/1.1\r\nHost: ${host}\r\nAuthorization: Bearer ${api.token}\r\n\r\n`;
    const p99Of = async () => {
      const times: number[] = [];
      // At the pace of a few polling clients, so that the crowd acts between the requests.
      for (let count = 0; count < (isQuick ? 300 : 1500); count++) {
        const startedAt = performance.now();
        mustSucceed(await connection.request(status));
        times.push(performance.now() - startedAt);
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      return times.sort((a, b) => a - b)[Math.floor(times.length * 0.99)] ?? 0;
    };
    await p99Of();
    const idle = await p99Of();
    const crowd = await gatherCrowd(api, { senders: SENDERS, readers: READERS });
    log('gathered the crowd');
    const busy = await p99Of();
    connection.close();
    await crowd.hangUp();
    return [
      rowWithTarget(
        {
          what: `p99 of a status while ${SENDERS} clients send and ${READERS} read slowly`,
          measured: `${formatFigure(busy)} ms`,
          reference: `without them ${formatFigure(idle)} ms`,
          ratio: busy / idle,
        },
        { atMost: 5 },
      ),
    ];
  } finally {
    await discardServer(server);
  }
};
