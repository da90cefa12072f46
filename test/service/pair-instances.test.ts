import { expect, test } from 'vitest';
import * as media from '../fixtures/media.js';
import { Api } from '../harness/api.js';
import { whyNoPostgres } from '../harness/available.js';
import { Follower } from '../harness/follower.js';
import { newDatabase } from '../harness/postgres.js';
import { discardServer, startServer, type TestServer } from '../harness/server.js';

const SETTINGS = { 'caption-grace-seconds': 0 };
const TWELVE = Array.from({ length: 12 }, (_, i) => `pair_${i + 1}`);

test.skipIf(whyNoPostgres() !== undefined)(
  'a target is READY at one instance when the missing control arrives at another',
  async () => {
    const database = await newDatabase();
    const servers: TestServer[] = [];
    try {
      const env = { DATABASE_URL: database.url };
      for (let i = 0; i < 2; i++) servers.push(await startServer(SETTINGS, { env }));
      const [one, two] = servers as [TestServer, TestServer];
      const here = await one.api();
      const there = new Api(two.url, here.token);
      const image = await media.jpeg();
      const create = async (name: string, role: string) =>
        (await here.json<{ id: string }>('POST', '', { name, role })).body.id;
      const [target, control] = [await create('railway', 'training'), await create('railway-depth', 'control')];
      for (const stem of TWELVE) {
        await here.upload(target, `${stem}.jpg`, image);
        await here.upload(target, `${stem}.txt`, 'a caption');
        if (stem !== 'pair_12') await there.upload(control, `${stem}.jpg`, image);
      }
      await there.json('PUT', `/${target}/links`, { control_1: control });
      const follower = new Follower(target, { instances: () => [one.url], token: here.token, first: 0 });
      await follower.sees(({ status, counts }) => status === 'FAILED' && counts.unpaired === 1);
      // The link makes the target wait for the upload.
      const link = await there.link(control, 'pair_12.jpg', image.length);
      await follower.sees(({ status }) => status === 'UPLOADING');
      const waiting = here.status(target, '?wait=30');
      await fetch(link, { method: 'PUT', body: new Uint8Array(image) });
      expect((await waiting).body.status).toBe('READY');
      await follower.sees(({ status }) => status === 'READY');
      // Both sides change at both instances at once.
      const changes = TWELVE.flatMap((stem, i) => {
        const [a, b] = i % 2 === 0 ? [here, there] : [there, here];
        return [
          a.request('DELETE', `/${target}/files/${stem}.jpg`),
          b.request('DELETE', `/${control}/files/${stem}.jpg`),
          a.upload(control, `more_${i}.jpg`, image),
          i % 3 === 0 ? a.upload(target, `more_${i}.txt`, 'a caption') : b.upload(target, `more_${i}.jpg`, image),
        ];
      });
      await Promise.all(changes);
      const { counts, links } = (await here.status(target)).body;
      expect(counts).toMatchObject({ images: 8, unpaired: 0 });
      expect(links?.control_1?.extra.count).toBe(4);
      await follower.sees((dataset) => dataset.counts.images === 8 && dataset.counts.unpaired === 0);
      await follower.stop();
    } finally {
      for (const server of servers) await discardServer(server);
      await database.drop();
    }
  },
);
