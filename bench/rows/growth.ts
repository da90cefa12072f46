import { join } from 'node:path';
import { discardServer, startServer } from '../../test/harness/server.js';
import type { Benchmark } from '../bench.js';
import { figure, judged } from '../table.js';
import { upload } from '../uploading.js';

const CONNECTIONS = 8;

/** Many uploads into one dataset: whether the last ones cost more than the first. */
export const benchGrowth: Benchmark = async ({ folder, isQuick, backends, newPlace, say }) => {
  const uploads = isQuick ? 3000 : 10_000;
  const share = isQuick ? 500 : 1000;
  const place = await newPlace(...backends);
  const server = await startServer({}, { dataFolder: join(folder, 'data'), env: place.env });
  try {
    const api = await server.api();
    const send = (count: number) => upload(api, 'captions', { count, connections: CONNECTIONS });
    // Elsewhere first: a process that has just started is slower for reasons of its own.
    await send(3 * share);
    const { answeredAt, seconds } = await send(uploads);
    const first = answeredAt[share - 1]!;
    const last = answeredAt[uploads - 1]! - answeredAt[uploads - share - 1]!;
    say(`${figure(uploads / seconds)} uploads/s over all`);
    const row = {
      what: `${uploads.toLocaleString('en-US')} uploads into one dataset, the last ${share}${backends.length === 0 ? '' : `, ${place.name}`}`,
      measured: `${figure(last)} s`,
      reference: `the first ${share}: ${figure(first)} s`,
      ratio: last / first,
    };
    return [judged(row, { atMost: 1.2 })];
  } finally {
    await discardServer(server);
    await place.discard();
  }
};
