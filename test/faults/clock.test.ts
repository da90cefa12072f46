import { writeFile } from 'node:fs/promises';
import { expect, onTestFinished, test } from 'vitest';
import { Api, put } from '../harness/api.js';
import { findFaketime, whyNoPostgres, whyNoS3 } from '../harness/available.js';
import { findingsOf } from '../harness/checking.js';
import { discardServer, eventually, startServer, type TestServer, temporaryFolder } from '../harness/server.js';
import { newWorld } from '../harness/world.js';
import { contentOf } from './contents.js';
import { directHead, formOf, RawClient } from './raw-client.js';
import { faultsOf, isAlive, NOTHING_REMAINS, remainsIn } from './remains.js';

const HOUR = 3600;
const LEASE_SECONDS = 2;
const faketime = findFaketime();
const withoutFaketime = 'refusal' in faketime ? faketime.refusal : undefined;
const leftOut = whyNoPostgres() ?? whyNoS3() ?? withoutFaketime;
const because = (reason: string | undefined) => (reason === undefined ? '' : `, left out: ${reason}`);

/** The environment of a server whose clock can be set while it runs. */
async function movableClock() {
  const offset = `${await temporaryFolder()}/offset`;
  const set = (seconds: number) => writeFile(offset, `${seconds < 0 ? '' : '+'}${seconds}\n`);
  await set(0);
  const env = {
    LD_PRELOAD: 'library' in faketime ? faketime.library : '',
    FAKETIME_TIMESTAMP_FILE: offset,
    FAKETIME_CACHE_DURATION: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  };
  const setClock = async ({ url }: TestServer, seconds: number) => {
    await set(seconds);
    await eventually(async () => {
      const { headers } = await fetch(`${url}/healthz`);
      const ahead = Date.parse(headers.get('date') ?? '') - Date.now();
      return Math.abs(ahead - seconds * 1000) < 10_000 || undefined;
    });
  };
  return { env, setClock };
}

test.skipIf(withoutFaketime !== undefined)(
  `a clock that is set back and forth freezes nothing and loses nothing${because(withoutFaketime)}`,
  async () => {
    const dataFolder = await temporaryFolder();
    const { env, setClock } = await movableClock();
    const settings = { 'blob-grace-seconds': 1, 'lease-seconds': 1, 'caption-grace-seconds': 1 };
    const server = await startServer(settings, { dataFolder, env });
    try {
      const api = await server.api();
      const id = await api.newDataset();
      /** Links that have expired. */
      let expired = 0;
      let uploads = 0;
      for (const seconds of [-HOUR, HOUR, -48 * HOUR]) {
        const link = await api.link(id, `linked-${uploads}.txt`, 9);
        // An upload that is in flight while the clock is set, and is then cut off.
        const client = await RawClient.open(server.url);
        await client.send(
          directHead(api, id, { 'Content-Length': 1_000_000 }),
          formOf('cut.txt').head,
          'half a caption',
        );
        await eventually(async () => ((await api.status(id)).body.counts.pending === expired + 2 ? true : undefined));
        await setClock(server, seconds);
        const isExpired = seconds > 0;
        expect((await put(link, 'a caption')).status).toBe(isExpired ? 403 : 200);
        if (isExpired) expired++;
        expect((await api.upload(id, 'kept.txt', `caption ${uploads++}`)).status).toBe(200);
        expect((await api.request('DELETE', `/${id}/files/kept.txt`)).status).toBe(200);
        await client.hangUp();
        // The lease of the upload that was cut off ends, and so does the grace of the removed file.
        await eventually(() => {
          const { staged, strays, missing, trash } = remainsIn(dataFolder);
          return staged.length + strays.length + missing.length + trash.length === 0 || undefined;
        });
      }
      const { body } = await api.status(id);
      expect(body.files).toHaveLength(2);
      expect([isAlive(server), faultsOf(server)]).toEqual([true, []]);
      expect(remainsIn(dataFolder)).toEqual(NOTHING_REMAINS);
      await server.stop();
      const again = await startServer(settings, { dataFolder });
      expect(await (await again.api()).filenames(id)).toHaveLength(2);
      await again.stop();
      expect(await findingsOf(server)).toEqual([]);
    } finally {
      await discardServer(server);
    }
  },
);

test.skipIf(leftOut !== undefined)(
  `an instance whose clock is an hour off, and is set while it runs, works as the other one${because(leftOut)}`,
  { tags: ['long'] },
  async () => {
    const world = await newWorld('postgres+presigned');
    onTestFinished(world.discard);
    const { env, setClock } = await movableClock();
    const settings = { 'caption-grace-seconds': 0, 'blob-grace-seconds': 0, 'lease-seconds': LEASE_SECONDS };
    const right = await startServer(settings, { env: world.env });
    onTestFinished(() => discardServer(right));
    const wrong = await startServer(settings, { env: { ...world.env, ...env } });
    onTestFinished(() => discardServer(wrong));
    const api = await right.api();
    const at = new Api(wrong.url, api.token);
    for (const seconds of [HOUR, -HOUR]) {
      await setClock(wrong, seconds);
      const id = await at.newDataset();
      // An upload in flight at each instance outlives the cleanup of the other one.
      const clients = await Promise.all([right, wrong].map(({ url }) => RawClient.open(url)));
      for (const [i, client] of clients.entries()) {
        const head = directHead(at, id, { 'Content-Length': 1_000_000 });
        await client.send(head, formOf(`${i}.txt`).head, 'half a caption');
      }
      const since = performance.now();
      const image = contentOf('a.jpg', `${seconds}`);
      const { upload_url, expires_at } = (await at.links(id, { 'a.jpg': image.length })).body.uploads['a.jpg']!;
      expect(Math.abs(Date.parse(`${expires_at}Z`) - Date.now() - HOUR * 1000)).toBeLessThan(600_000);
      expect((await fetch(upload_url, { method: 'PUT', body: new Uint8Array(image) })).status).toBe(200);
      expect((await at.upload(id, 'a.txt', 'a dog')).status).toBe(200);
      await eventually(() => performance.now() - since > 3 * LEASE_SECONDS * 1000 || undefined);
      expect((await at.status(id)).body.counts.pending).toBeGreaterThanOrEqual(2);
      for (const client of clients) await client.hangUp();
      await eventually(async () => ((await at.status(id)).body.status === 'READY' ? true : undefined));
      expect((await api.status(id)).body).toEqual((await at.status(id)).body);
      expect((await api.raw('GET', `/${id}/files/a.jpg`)).status).toBe(200);
    }
    expect([right, wrong].flatMap(faultsOf)).toEqual([]);
  },
);
