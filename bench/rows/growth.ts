import { join } from 'node:path';
import { discardServer, startServer } from '../../test/harness/server.js';
import type { Benchmark } from '../bench.js';
import { formatFigure, rowWithTarget } from '../table.js';
import { upload } from '../uploading.js';

const CONNECTIONS = 8;

/** Many uploads into one dataset: the time of the last ones, compared with that of the first. */
export const benchGrowth: Benchmark = async ({ folder, isQuick, backends, newInstallation, log }) => {
  const uploads = isQuick ? 3000 : 10_000;
  const share = isQuick ? 500 : 1000;
  const installation = await newInstallation(...backends);
  const server = await startServer({}, { dataFolder: join(folder, 'data'), env: installation.env });
  try {
    const api = await server.api();
    const send = (count: number) => upload(api, 'captions', { count, connections: CONNECTIONS });
    // Warms up with another dataset: a new process is slower.
    await send(3 * share);
    const { answeredAt, seconds } = await send(uploads);
    const first = answeredAt[share - 1]!;
    const last = answeredAt[uploads - 1]! - answeredAt[uploads - share - 1]!;
    log(`${formatFigure(uploads / seconds)} uploads/s on average`);
    const row = {
      what: `${uploads.toLocaleString('en-US')} uploads into one dataset, the last ${share}${backends.length === 0 ? '' : `, ${installation.name}`}`,
      measured: `${formatFigure(last)} s`,
      reference: `the first ${share}: ${formatFigure(first)} s`,
      ratio: last / first,
    };
    return [rowWithTarget(row, { atMost: 1.2 })];
  } finally {
    await discardServer(server);
    await installation.discard();
  }
};
