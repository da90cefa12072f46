import { writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { put } from '../harness/api.js';
import { findFaketime } from '../harness/available.js';
import { findingsOf } from '../harness/checking.js';
import { discardServer, eventually, startServer, temporaryFolder } from '../harness/server.js';
import { directHead, formOf, RawClient } from './raw-client.js';
import { faultsOf, isAlive, NOTHING_REMAINS, remainsIn } from './remains.js';

const faketime = findFaketime();
const HOUR = 3600;

test.skipIf('refusal' in faketime)(
  `a clock that is set back and forth freezes nothing and loses nothing${'refusal' in faketime ? `, left out: ${faketime.refusal}` : ''}`,
  async () => {
    const dataFolder = await temporaryFolder();
    const offset = `${dataFolder}.offset`;
    const setClock = (seconds: number) => writeFile(offset, `${seconds < 0 ? '' : '+'}${seconds}\n`);
    await setClock(0);
    const env = {
      LD_PRELOAD: 'library' in faketime ? faketime.library : '',
      FAKETIME_TIMESTAMP_FILE: offset,
      FAKETIME_CACHE_DURATION: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    };
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
        await setClock(seconds);
        await eventually(async () => {
          const { headers } = await fetch(`${server.url}/healthz`);
          const ahead = Date.parse(headers.get('date') ?? '') - Date.now();
          return Math.abs(ahead - seconds * 1000) < 10_000 || undefined;
        });
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
