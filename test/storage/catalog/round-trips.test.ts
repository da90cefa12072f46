import { describe, expect, test } from 'vitest';
import { whyNoPostgres } from '../../harness/available.js';
import { databaseForTest, proxiedForTest } from '../../harness/postgres.js';
import { tripsForRequests } from '../../harness/round-trips.js';
import { discardServer, eventually, startServer } from '../../harness/server.js';

const UPLOADS = 12;

/** On a busy machine, some milliseconds may pass between two statements that the server sends together. */
const ANSWER_DELAY_MS = 50;

describe.skipIf(whyNoPostgres() !== undefined)('the cost of a direct upload', () => {
  test('is three round trips to Postgres: one to reserve, two to finalize, and a token lookup every few seconds', async () => {
    const { url, proxy } = await proxiedForTest(await databaseForTest(), { answerDelayMs: ANSWER_DELAY_MS });
    const server = await startServer({}, { env: { DATABASE_URL: url } });
    try {
      const api = await server.api();
      const id = await api.newDataset('counted');
      // The first uploads open connections, and the server caches tokens only while it listens for revocations.
      await eventually(async () => {
        await api.upload(id, 'first.txt', 'warming up');
        return (
          proxy.conversations.some((each) => each.trips.some((text) => /listen trainyard/.test(text))) || undefined
        );
      });
      await api.upload(id, 'second.txt', 'warming up');
      const before = tripsForRequests(proxy);
      const begun = performance.now();
      for (let i = 0; i < UPLOADS; i++) {
        const { status } = await api.upload(id, `${i}.txt`, `a caption, number ${i}`);
        expect(status).toBe(200);
      }
      const seconds = (performance.now() - begun) / 1000;
      const { changes, lookups } = tripsForRequests(proxy);
      expect(changes.length - before.changes.length, changes.join('\n---\n')).toBe(3 * UPLOADS);
      expect(lookups.length - before.lookups.length).toBeLessThanOrEqual(1 + seconds / 5);
    } finally {
      await discardServer(server);
    }
  });
});
