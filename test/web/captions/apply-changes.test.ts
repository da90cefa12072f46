import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TrainyardClient } from '../../../src/client/client.js';
import { applyChanges } from '../../../web/captions/bulk/apply.js';
import type { CaptionChange } from '../../../web/captions/bulk/plan.js';
import type { Api } from '../../harness/api.js';
import { type BreakingProxy, startProxy } from '../../harness/proxy.js';
import { discardServer, startServer, type TestServer } from '../../harness/server.js';

describe('changes to many captions', () => {
  let server: TestServer;
  let proxy: BreakingProxy;
  let api: Api;
  beforeAll(async () => {
    server = await startServer({ 'caption-grace-seconds': 0 });
    proxy = await startProxy(server.url);
    api = await server.api();
  });
  afterAll(async () => {
    await proxy?.close();
    await discardServer(server);
  });

  test('report captions that were being saved at the cancel as changed', async () => {
    const names = Array.from({ length: 150 }, (_, index) => `${String(index).padStart(3, '0')}.txt`);
    const id = await api.newDataset();
    await api.json('PUT', `/${id}/captions`, { captions: names.map((filename) => ({ filename, text: 'filled' })) });
    const changes = names.map((filename): CaptionChange => ({ filename, before: 'filled', after: 'changed' }));
    const release = new AbortController();
    const released = once(release.signal, 'abort');
    const cancel = new AbortController();
    // The first request blocks until the release, and the cancel comes meanwhile.
    proxy.rule(async ({ method }) => {
      if (method !== 'PUT') return undefined;
      cancel.abort();
      await released;
      return undefined;
    });
    const client = new TrainyardClient({ baseUrl: proxy.url, token: api.token });
    const applying = applyChanges(client, id, changes, { signal: cancel.signal, onProgress: () => {} });
    if (!cancel.signal.aborted) await once(cancel.signal, 'abort');
    // Enough time for the client to end, if it did not wait for the request under way.
    for (let i = 0; i < 5; i++) await api.status(id);
    release.abort();
    const { changed, remaining, failed, skipped } = await applying;
    const texts = new Map((await client.bulk.captions(id, names)).map(({ filename, text }) => [filename, text]));
    expect(remaining.map(({ filename }) => texts.get(filename))).toEqual(Array(50).fill('filled'));
    expect(changed.map(({ filename }) => texts.get(filename))).toEqual(Array(100).fill('changed'));
    expect([failed, skipped]).toEqual([[], []]);
  });
});
