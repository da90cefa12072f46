import { afterAll, beforeAll, expect, test } from 'vitest';
import { TrainyardClient } from '../../../src/client/client.js';
import { replaceEntry } from '../../../web/upload/queue/replace-entry.js';
import { type BreakingProxy, startProxy } from '../../harness/proxy.js';
import { discardServer, startServer, type TestServer } from '../../harness/server.js';

let server: TestServer;
let proxy: BreakingProxy;
let token: string;
beforeAll(async () => {
  server = await startServer();
  token = (await server.api()).token;
  proxy = await startProxy(server.url);
});
afterAll(async () => {
  await proxy.close();
  await discardServer(server);
});

const other = () => new TrainyardClient({ baseUrl: server.url, token });

/** What replacing `old.txt` by `new.txt` ends with, after another client has done something. */
async function replaceAfter(act: (id: string) => Promise<unknown>) {
  const { id } = await other().create();
  const { etag } = await other().upload(id, 'old.txt', new Blob(['wagon']));
  await other().upload(id, 'new.txt', new Blob(['train']));
  await act(id);
  const client = new TrainyardClient({ baseUrl: proxy.url, token });
  const { signal } = new AbortController();
  const kept = await replaceEntry(client, id, { name: 'new.txt', replaces: { filename: 'old.txt', etag }, signal });
  return { why: kept?.why, files: (await other().status(id)).files.map(({ filename }) => filename) };
}

test('an entry is replaced although the answer to its removal is lost', async () => {
  proxy.rule(({ method, time }) => (method === 'DELETE' && time === 1 ? 'lose-answer' : undefined));
  expect(await replaceAfter(async () => {})).toEqual({ why: undefined, files: ['new.txt'] });
  proxy.rule();
});

test('an answer of a proxy that has no route does not count as a removal', async () => {
  proxy.rule(({ method }) => (method === 'DELETE' ? { status: 404, body: '404 page not found' } : undefined));
  await expect(replaceAfter(async () => {})).rejects.toThrow('not as a dataset service');
  proxy.rule();
});

test('an entry that another client has deleted is replaced; one that it has changed is kept', async () => {
  const deleted = await replaceAfter((id) => other().removeFile(id, 'old.txt'));
  expect(deleted).toEqual({ why: undefined, files: ['new.txt'] });
  const changed = await replaceAfter((id) => other().upload(id, 'old.txt', new Blob(['dusk'])));
  expect(changed).toEqual({ why: 'conflict', files: ['new.txt', 'old.txt'] });
});
