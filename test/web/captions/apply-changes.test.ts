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

  test('report a removal that was in flight at the cancel as changed', async () => {
    const names = Array.from({ length: 8 }, (_, index) => `${index}.txt`);
    const id = await api.newDataset();
    for (const name of names) await api.upload(id, name, 'filled');
    const removals = names.map((filename): CaptionChange => ({ filename, before: 'filled', after: undefined }));
    const release = new AbortController();
    const released = once(release.signal, 'abort');
    // The first removal is answered at once, and its progress cancels the rest. The others in flight block until the release.
    proxy.rule(async ({ method, path }) => {
      if (method === 'DELETE' && !path.endsWith(`/${names[0]}`)) await released;
      return undefined;
    });
    const cancel = new AbortController();
    const client = new TrainyardClient({ baseUrl: proxy.url, token: api.token });
    const applying = applyChanges(client, id, removals, { signal: cancel.signal, onProgress: () => cancel.abort() });
    await once(cancel.signal, 'abort');
    // Enough time for the client to read which captions exist, if it did not wait for the removals in flight.
    for (let i = 0; i < 5; i++) await api.status(id);
    release.abort();
    const { changed, remaining, failed, skipped } = await applying;
    const existing = await api.filenames(id);
    expect(remaining.map(({ filename }) => filename)).toEqual(existing);
    expect(changed.map(({ filename }) => filename)).toEqual(names.filter((name) => !existing.includes(name)));
    expect(changed.length).toBeGreaterThan(1);
    expect([failed, skipped]).toEqual([[], []]);
  });
});
