import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import * as media from '../fixtures/media.js';
import type { Api } from '../harness/api.js';
import { whyNoS3 } from '../harness/available.js';
import { discardServer, eventually, startServer, type TestServer } from '../harness/server.js';
import { newWorld, type World } from '../harness/world.js';
import { directHead, formOf, RawClient } from './raw-client.js';

const leftOut = whyNoS3();

/** The smallest one. */
const SPOOL_BYTES = 300_000_000;
const UPLOAD_BYTES = 80_000_000;

describe.skipIf(leftOut !== undefined)(
  `uploads to a bucket whose clients send next to nothing${leftOut === undefined ? '' : `, left out: ${leftOut}`}`,
  () => {
    let world: World;
    let server: TestServer;
    beforeAll(async () => {
      world = await newWorld('sqlite+presigned');
      server = await startServer({ 'caption-grace-seconds': 0, 'spool-bytes': SPOOL_BYTES }, { env: world.env });
    });
    afterAll(async () => {
      await discardServer(server);
      await world.discard();
    });

    const beginUpload = async (api: Api, id: string, filename: string) => {
      const client = await RawClient.open(server.url);
      onTestFinished(() => client.hangUp());
      await client.send(directHead(api, id, { 'Content-Length': UPLOAD_BYTES }), formOf(filename).head, 'x');
    };
    /** Files of uploads that have space in the spool. */
    const spooledFiles = () => {
      const root = join(server.dataFolder, 'tmp');
      const folders = readdirSync(root).filter((name) => statSync(join(root, name)).isDirectory());
      return folders.flatMap((name) => readdirSync(join(root, name))).filter((name) => !name.includes('lock'));
    };

    test('those of one account keep no other account waiting', async () => {
      const [slow, other] = await Promise.all([server.api('slow'), server.api('other')]);
      const theirs = await slow.newDataset();
      for (let i = 0; i < 4; i++) await beginUpload(slow, theirs, `${i}.png`);
      const pending = async () => (await slow.status(theirs)).body.counts.pending;
      await eventually(async () => ((await pending()) === 4 && spooledFiles().length > 0) || undefined);

      const id = await other.newDataset();
      const picture = await media.jpeg();
      expect((await other.upload(id, 'a.jpg', picture)).status).toBe(200);
      const captions = [{ filename: 'a.txt', text: 'a wagon' }];
      expect((await other.json('PUT', `/${id}/captions`, { captions })).status).toBe(200);
      expect((await other.raw('GET', `/${id}/files/a.jpg/thumbnail`)).status).toBe(200);
      const url = await other.link(id, 'a.jpg', picture.length);
      expect((await fetch(url, { method: 'PUT', body: new Uint8Array(picture) })).status).toBe(200);
      const { status, counts } = await eventually(async () => {
        const { body } = await other.status(id);
        return body.status === 'UPLOADING' ? undefined : body;
      });
      expect({ status, pending: counts.pending }).toEqual({ status: 'READY', pending: 0 });
      expect(spooledFiles()).toHaveLength(1);
      expect(await pending()).toBe(4);
    });
  },
);
