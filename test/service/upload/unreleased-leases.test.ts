import { expect, onTestFinished, test } from 'vitest';
import { formOf, directHead, RawClient } from '../../faults/raw-client.js';
import { whyNoPostgres } from '../../harness/available.js';
import { databaseForTest, onDatabase } from '../../harness/postgres.js';
import { discardServer, eventually, startServer } from '../../harness/server.js';

const CUT_OFF = 5;

test.skipIf(whyNoPostgres() !== undefined)(
  'an upload waits for one failed release of another upload at most, and they are released later',
  async () => {
    const url = await databaseForTest();
    const server = await startServer({}, { env: { DATABASE_URL: url } });
    onTestFinished(() => discardServer(server));
    const api = await server.api();
    const id = await api.newDataset();
    // A sequence counts rolled back releases too.
    await onDatabase(
      url,
      'create sequence tries',
      `create function refuse() returns trigger language plpgsql as $$ begin
         perform nextval('tries');
         raise exception 'refused' using errcode = '53300';
       end $$`,
      'create trigger refuse before delete on file for each row execute function refuse()',
    );
    const tries = async () => {
      const [found] = await onDatabase(url, 'select last_value * is_called::int as count from tries');
      return Number(found?.rows[0]?.count);
    };
    const pending = async () => (await api.status(id)).body.counts.pending;
    const clients: RawClient[] = [];
    for (let i = 0; i < CUT_OFF; i++) {
      const client = await RawClient.open(server.url);
      await client.send(
        directHead(api, id, { 'Content-Length': 1_000_000 }),
        formOf(`${i}.txt`).head,
        'half a caption',
      );
      clients.push(client);
    }
    await eventually(async () => ((await pending()) === CUT_OFF ? true : undefined));
    for (const client of clients) {
      const before = await tries();
      await client.hangUp();
      await eventually(async () => ((await tries()) > before ? true : undefined));
    }
    const before = await tries();
    expect((await api.upload(id, 'whole.txt', 'a caption')).status).toBe(200);
    expect((await tries()) - before).toBeLessThanOrEqual(1);
    await onDatabase(url, 'drop trigger refuse on file');
    expect((await api.upload(id, 'whole.txt', 'another caption')).status).toBe(200);
    expect(await pending()).toBe(0);
  },
);
