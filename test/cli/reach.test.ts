import { expect, test } from 'vitest';
import { fetchOnceReached } from '../../src/cli/reach.js';
import { CommandError } from '../../src/cli/terminal/exit-codes.js';
import { TrainyardClient } from '../../src/client/client.js';
import { startProxy } from '../harness/proxy.js';
import { discardServer, startServer } from '../harness/server.js';

test('a service that was never reached costs one attempt, and one that is gone for a while several', async () => {
  const server = await startServer();
  const proxy = await startProxy(server.url);
  try {
    const { token } = await server.api();
    const reach = fetchOnceReached();
    let attempts = 0;
    const counted: typeof fetch = (...args) => {
      attempts++;
      return reach(...args);
    };
    const client = new TrainyardClient({ baseUrl: proxy.url, token, attempts: 3, fetch: counted });
    await proxy.goAway();
    await expect(client.list()).rejects.toThrow(CommandError);
    expect(attempts).toBe(1);
    await proxy.comeBack();
    await client.list();
    await proxy.goAway();
    attempts = 0;
    await expect(client.list()).rejects.toThrow('fetch failed');
    expect(attempts).toBe(3);
  } finally {
    await proxy.close();
    await discardServer(server);
  }
});
