import { expect, test } from 'vitest';
import { TrainyardClient } from '../../src/client/client.js';
import { discardServer, startServer } from '../harness/server.js';
import { tcpLinkTo } from '../harness/tcp-link.js';

test('streams of events end when nothing arrives for too long, before their answer too', async () => {
  const server = await startServer();
  try {
    const { token } = await server.api();
    const link = await tcpLinkTo(server.url);
    const client = new TrainyardClient({ baseUrl: link.url, token });
    const { id } = await client.create('yard');
    // The service sends nothing more for 15 s.
    const events = client.events(id, { maxSilentSeconds: 3 });
    expect((await events.next()).value).toMatchObject({ id });
    await expect(events.next()).rejects.toMatchObject({ name: 'TimeoutError' });
    link.stall();
    for (const held of [client.events(id, { maxSilentSeconds: 0.1 }), client.allEvents({ maxSilentSeconds: 0.1 })]) {
      await expect(held.next()).rejects.toMatchObject({ name: 'TimeoutError' });
    }
  } finally {
    await discardServer(server);
  }
});
