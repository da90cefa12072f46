import { join } from 'node:path';
import { discardServer, startServer } from '../../test/harness/server.js';
import type { Benchmark } from '../bench.js';
import { inChild } from '../child.js';
import type { Load, Loaded } from '../load.js';
import { figure, judged } from '../table.js';

const LOAD = new URL('../load.ts', import.meta.url);
const CONNECTIONS = 8;

/** Many uploads into one dataset: whether the last ones cost more than the first. */
export const benchGrowth: Benchmark = async ({ folder, isQuick, say }) => {
  const uploads = isQuick ? 3000 : 10_000;
  const share = isQuick ? 500 : 1000;
  const server = await startServer({}, { dataFolder: join(folder, 'data') });
  try {
    const api = await server.api();
    const send = async (captions: number) => {
      const target = { url: server.url, token: api.token, datasetId: await api.newDataset() };
      return inChild<Load, Loaded>(LOAD, { kind: 'captions', target, connections: CONNECTIONS, captions });
    };
    // Elsewhere first: a process that has just started is slower for reasons of its own.
    await send(3 * share);
    const { answeredAt, seconds } = await send(uploads);
    const first = answeredAt[share - 1]!;
    const last = answeredAt[uploads - 1]! - answeredAt[uploads - share - 1]!;
    say(`${figure(uploads / seconds)} uploads/s over all`);
    const row = {
      what: `${uploads.toLocaleString('en-US')} uploads into one dataset, the last ${share}`,
      measured: `${figure(last)} s`,
      reference: `the first ${share}: ${figure(first)} s`,
      ratio: last / first,
    };
    return [judged(row, { atMost: 1.2 })];
  } finally {
    await discardServer(server);
  }
};
