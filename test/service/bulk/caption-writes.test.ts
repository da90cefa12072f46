import { expect, test } from 'vitest';
import { discardServer, startServer } from '../../harness/server.js';

test('many captions of one request put few listeners on its signal', async () => {
  const server = await startServer({ 'caption-grace-seconds': 0 });
  try {
    const api = await server.api();
    const captions = Array.from({ length: 100 }, (_, i) => ({ filename: `${i}.txt`, text: `train ${i}` }));
    expect((await api.json('PUT', `/${await api.newDataset()}/captions`, { captions })).status).toBe(200);
    // Once it has stopped, all its output has arrived.
    await server.stop();
    expect(server.output()).not.toContain('MaxListenersExceededWarning');
  } finally {
    await discardServer(server);
  }
});
