import { writeFile } from 'node:fs/promises';
import { expect, onTestFinished, test } from 'vitest';
import { Api } from '../harness/api.js';
import { findFaketime, whyNoPostgres, whyNoS3 } from '../harness/available.js';
import { startReceiver } from '../harness/receiver.js';
import { discardServer, eventually, startServer, temporaryFolder } from '../harness/server.js';
import { newWorld } from '../harness/world.js';
import { contentOf, sha256 } from './contents.js';
import { directHead, formOf, RawClient } from './raw-client.js';
import { faultsOf } from './remains.js';

const HOUR = 3600;
/** Receivers of Standard Webhooks accept a timestamp that is off by five minutes. */
const TOLERANCE_SECONDS = 300;
const LEASE_SECONDS = 2;

const faketime = findFaketime();
const leftOut = whyNoPostgres() ?? whyNoS3() ?? ('refusal' in faketime ? faketime.refusal : undefined);

test.skipIf(leftOut !== undefined)(
  `an instance whose clock is an hour off, and is set while it runs, works as the other one${leftOut === undefined ? '' : `, left out: ${leftOut}`}`,
  async () => {
    const world = await newWorld('postgres+presigned');
    onTestFinished(world.discard);
    const offset = `${await temporaryFolder()}/offset`;
    const setClock = (seconds: number) => writeFile(offset, `${seconds < 0 ? '' : '+'}${seconds}\n`);
    await setClock(HOUR);
    const settings = {
      'caption-grace-seconds': 0,
      'blob-grace-seconds': 0,
      'lease-seconds': LEASE_SECONDS,
      'webhook-allow': '127.0.0.1',
    };
    const env = {
      ...world.env,
      LD_PRELOAD: 'library' in faketime ? faketime.library : '',
      FAKETIME_TIMESTAMP_FILE: offset,
      FAKETIME_CACHE_DURATION: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    };
    const right = await startServer(settings, { env: world.env });
    onTestFinished(() => discardServer(right));
    const wrong = await startServer(settings, { env });
    onTestFinished(() => discardServer(wrong));
    const api = await right.api();
    const at = new Api(wrong.url, api.token);
    for (const seconds of [HOUR, -HOUR]) {
      await setClock(seconds);
      await eventually(async () => {
        const { headers } = await fetch(`${wrong.url}/healthz`);
        const ahead = Date.parse(headers.get('date') ?? '') - Date.now();
        return Math.abs(ahead - seconds * 1000) < 60_000 || undefined;
      });
      await Promise.all(
        [at, api].map(async (one) => {
          const id = await one.newDataset();
          // An upload in flight at each instance outlives the cleanup of the other one.
          const clients = await Promise.all([right, wrong].map(({ url }) => RawClient.open(url)));
          for (const [i, client] of clients.entries()) {
            const head = directHead(one, id, { 'Content-Length': 1_000_000 });
            await client.send(head, formOf(`${i}.txt`).head, 'half a caption');
          }
          await eventually(async () => ((await one.status(id)).body.counts.pending === 2 ? true : undefined));
          const since = performance.now();
          const image = contentOf('a.jpg', `${seconds}`);
          const { body } = await one.links(id, { 'a.jpg': image.length });
          const { upload_url, expires_at } = body.uploads['a.jpg']!;
          const holdsMs = Date.parse(`${expires_at}Z`) - Date.now();
          expect(Math.abs(holdsMs - HOUR * 1000)).toBeLessThan(600_000);
          expect((await fetch(upload_url, { method: 'PUT', body: new Uint8Array(image) })).status).toBe(200);
          expect((await one.upload(id, 'a.txt', 'a dog')).status).toBe(200);
          await eventually(() => performance.now() - since > 3 * LEASE_SECONDS * 1000 || undefined);
          const { counts } = (await one.status(id)).body;
          expect(counts.pending).toBeGreaterThanOrEqual(2);
          for (const client of clients) await client.hangUp();
          const ready = await eventually(async () => {
            const found = (await one.status(id)).body;
            return found.status === 'UPLOADING' ? undefined : found;
          });
          expect([ready.status, ready.files.map((file) => file.sha256).includes(sha256(image))]).toEqual([
            'READY',
            true,
          ]);
          for (const reader of [at, api]) {
            expect((await reader.status(id)).body).toEqual(ready);
            expect((await reader.raw('GET', `/${id}/files/a.jpg`)).status).toBe(200);
          }
        }),
      );
    }
    // Only this instance is left to send the event.
    await right.stop();
    const receiver = await startReceiver();
    onTestFinished(receiver.close);
    const { body: webhook } = await at.json<{ id: string }>('POST', '/webhooks', { url: receiver.url });
    await at.request('POST', `/webhooks/${webhook.id}/test`);
    const [event] = await eventually(() => (receiver.received.length > 0 ? receiver.received : undefined));
    const ageSeconds = Date.now() / 1000 - Number(event?.headers['webhook-timestamp']);
    expect(Math.abs(ageSeconds)).toBeLessThan(TOLERANCE_SECONDS);
    expect([right, wrong].flatMap(faultsOf)).toEqual([]);
  },
);
