// @module-tag long
import { randomUUID } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { whyNoPostgres } from '../../harness/available.js';
import * as media from '../../fixtures/media.js';
import { databaseForTest, proxiedForTest } from '../../harness/postgres.js';
import { tripsForRequests } from '../../harness/round-trips.js';
import { discardServer, startServer } from '../../harness/server.js';

const UPLOADS = 3;

/** On a busy machine, some milliseconds may pass between two statements that the server sends together. */
const ANSWER_DELAY_MS = 150;

describe.skipIf(whyNoPostgres() !== undefined)('the cost of a direct upload', () => {
  test('is four round trips to Postgres: the token, one to reserve, two to finalize, also of a file of a pair', async () => {
    const { url, proxy } = await proxiedForTest(await databaseForTest(), { answerDelayMs: ANSWER_DELAY_MS });
    const server = await startServer({}, { env: { DATABASE_URL: url } });
    try {
      const api = await server.api();
      const id = await api.newDataset('counted');
      // The first uploads open connections.
      for (const name of ['first.txt', 'second.txt']) await api.upload(id, name, 'warming up');
      /** The fewest of some uploads: a busy machine may split what the server sends together. */
      const tripsOf = async (datasetId: string, extension: string, bytes: Uint8Array | string) => {
        const counts: number[] = [];
        for (let i = 0; i < UPLOADS; i++) {
          const count = tripsForRequests(proxy).length;
          expect((await api.upload(datasetId, `${randomUUID()}.${extension}`, bytes)).status).toBe(200);
          counts.push(tripsForRequests(proxy).length - count);
        }
        return Math.min(...counts);
      };
      expect(await tripsOf(id, 'txt', 'a caption')).toBe(4);
      const image = await media.png();
      const controls = await api.json<{ id: string }>('POST', '', { name: 'controls', role: 'control' });
      const control = controls.body.id;
      expect((await api.json('PUT', `/${id}/links`, { control_1: control })).status).toBe(200);
      expect(await tripsOf(control, 'png', image)).toBe(4);
    } finally {
      await discardServer(server);
    }
  });
});
