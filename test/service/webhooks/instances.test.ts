import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { WireNewWebhook } from '../../../src/api/webhook-schemas.js';
import { Api } from '../../harness/api.js';
import { whyNoPostgres } from '../../harness/available.js';
import { newDatabase } from '../../harness/postgres.js';
import { type Receiver, startReceiver } from '../../harness/receiver.js';
import { discardServer, eventually, startServer } from '../../harness/server.js';

const SETTINGS = { 'caption-grace-seconds': 0, 'lease-seconds': 5, 'webhook-allow': '127.0.0.1' };

let receiver: Receiver;
beforeEach(async () => {
  receiver = await startReceiver();
});
afterEach(() => receiver.close());

const add = async (api: Api) => (await api.json<WireNewWebhook>('POST', '/webhooks', { url: receiver.url })).body;
const idsReceived = () => receiver.received.map(({ headers }) => headers['webhook-id']);
const received = (count: number) => eventually(() => (receiver.received.length >= count ? true : undefined));

/** A dataset that is FAILED, since its caption belongs to no image. */
async function failedDataset(api: Api, name: string): Promise<string> {
  const id = await api.newDataset(name);
  await api.upload(id, 'a.txt', 'a caption');
  return id;
}

test('a server that is stopped does not wait for a receiver, and sends the event after its start', async () => {
  let server = await startServer(SETTINGS);
  try {
    const api = await server.api();
    await add(api);
    receiver.answer = () => {};
    await failedDataset(api, 'slow');
    await received(1);
    expect(await server.stop()).toBe(0);
    receiver.answer = (response) => response.writeHead(204).end();
    server = await startServer(SETTINGS, { dataFolder: server.dataFolder });
    await received(2);
    expect(new Set(idsReceived()).size).toBe(1);
  } finally {
    await discardServer(server);
  }
});

describe.skipIf(whyNoPostgres() !== undefined)('two instances on one Postgres', () => {
  test('send each event once; one sends what the other had in flight when it was killed', async () => {
    const database = await newDatabase();
    const env = { DATABASE_URL: database.url };
    const [one, two] = await Promise.all([startServer(SETTINGS, { env }), startServer(SETTINGS, { env })]);
    try {
      const first = await one.api();
      const apis = [first, new Api(two.url, first.token)];
      await add(first);
      const names = Array.from({ length: 8 }, (_, i) => `dataset ${i}`);
      const ids = await Promise.all(names.map((name, i) => failedDataset(apis[i % 2] as Api, name)));
      await received(8);
      // Both have noticed all of them before the events of the deletions are there.
      await Promise.all(ids.map((id, i) => apis[i % 2]?.request('DELETE', `/${id}`)));
      await received(16);
      expect(new Set(idsReceived()).size).toBe(16);
      for (const id of ids) {
        const types = receiver.events().flatMap(({ type, data }) => (data.id === id ? [type] : []));
        expect(types).toEqual(['dataset.failed', 'dataset.deleted']);
      }
      receiver.answer = () => {};
      await failedDataset(first, 'in flight');
      await received(17);
      receiver.answer = (response) => response.writeHead(204).end();
      // Which one sends it is not known to the test, so both are killed, and one is started again.
      await Promise.all([one.stop('SIGKILL'), two.stop('SIGKILL')]);
      const third = await startServer(SETTINGS, { env });
      await received(18).finally(() => discardServer(third));
      expect(idsReceived()[17]).toBe(idsReceived()[16]);
    } finally {
      await Promise.all([discardServer(one), discardServer(two)]);
      await database.drop();
    }
  });
});
