import { expect, test } from 'vitest';
import { openCatalog } from '../../../src/storage/catalog/open-catalog.js';
import { discardServer, startServer } from '../../harness/server.js';

test('captions that are in conflict when their request arrives are not stored', async () => {
  const server = await startServer({ 'caption-grace-seconds': 0 });
  try {
    const api = await server.api();
    const id = await api.newDataset();
    await api.upload(id, 'a.txt', 'theirs');
    const { body } = await api.json<{ captions: { saved: boolean }[] }>('PUT', `/${id}/captions`, {
      captions: [
        { filename: 'a.txt', text: 'mine', ifMatch: null },
        { filename: 'b.txt', text: 'mine', ifMatch: `"${'0'.repeat(64)}"` },
      ],
    });
    expect(body.captions.map(({ saved }) => saved)).toEqual([false, false]);
    const { catalog, close } = await openCatalog({ dataFolder: server.dataFolder, blobGrace: 0 });
    // Bytes without a row are listed in the trash before they are stored.
    expect(await catalog.expiredTrash(Number.MAX_SAFE_INTEGER)).toEqual([]);
    await close();
  } finally {
    await discardServer(server);
  }
});

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
