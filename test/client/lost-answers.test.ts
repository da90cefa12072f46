import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { TrainyardClient, TrainyardError } from '../../src/client/client.js';
import { type BreakingProxy, startProxy } from '../harness/proxy.js';
import { sharedServer } from '../harness/shared-server.js';

const server = await sharedServer();
const { token } = await server.api();
let proxy: BreakingProxy;
beforeEach(async () => {
  proxy = await startProxy(server.url);
});
afterEach(() => proxy.close());

const clientAt = (url: string) => new TrainyardClient({ baseUrl: url, token });
const bytesOf = (text: string) => new Blob([text]);

/** A dataset whose second revision adds `b.txt` to `a.txt`, and a pending upload of `c.txt`. */
async function newFixture() {
  const client = clientAt(server.url);
  const { id } = await client.create();
  const a = await client.upload(id, 'a.txt', bytesOf('wagon'));
  // Ends the first revision.
  await client.history.pin(id, 1);
  await client.upload(id, 'b.txt', bytesOf('train'));
  await client.uploadLinks(id, { 'c.txt': 5 });
  return { id, a };
}

type Fixture = Awaited<ReturnType<typeof newFixture>>;

/** Changes a dataset. @returns the part of the answer that is the same for each fixture */
type Change = (client: TrainyardClient, fixture: Fixture) => Promise<unknown>;

/** All changes of the client that are repeated after a lost answer and have a result that depends on what is there. */
const CHANGES: Record<string, Change> = {
  'an upload of a new file': async (client, { id }) => {
    const { kind, etag } = await client.upload(id, 'é.txt', bytesOf('freight'), { ifMatch: null });
    return { kind, etag };
  },
  'a push, also of an empty file': (client, { id, a }) => {
    const file = (name: string, text: string) => ({ name, size: text.length, open: async () => bytesOf(text) });
    const ifMatch = { 'a.txt': a.etag, 'empty.txt': null };
    return client.push({ id }, [file('a.txt', 'freight'), file('empty.txt', '')], { ifMatch, concurrency: 1 });
  },
  captions: async (client, { id, a }) => {
    const captions = await client.bulk.saveCaptions(id, [
      { filename: 'a.txt', text: 'freight', ifMatch: a.etag },
      { filename: 'b.txt', text: 'is in conflict', ifMatch: a.etag },
      { filename: 'd.txt', text: 'é', ifMatch: null },
      { filename: 'e.txt', text: 'yard' },
    ]);
    return captions.map(({ file, ...caption }) => ({ ...caption, etag: file?.etag }));
  },
  'the removal of a file that was read': (client, { id, a }) => client.removeFile(id, 'a.txt', { ifMatch: a.etag }),
  'a withdrawal': (client, { id }) => client.withdraw(id, 'c.txt'),
  'a restored revision': async (client, { id }) => {
    const { restored, revision } = await client.history.restore(id, 1);
    return { restored, number: revision.number };
  },
  'a revision that is undone': async (client, { id }) => {
    const { revision, ...answer } = await client.history.undo(id, 2);
    return { ...answer, number: revision?.number };
  },
  'the removal of a dataset': (client, { id }) => client.remove(id),
};

/** The files and the revisions of a dataset; the status of the error if it is gone. */
async function stateOf({ id }: Fixture): Promise<unknown> {
  const client = clientAt(server.url);
  try {
    const { files, awaited } = await client.status(id);
    const { revisions } = await client.history.revisions(id);
    return {
      files: files.map(({ filename, etag }) => [filename, etag]),
      awaited: awaited?.map(({ filename }) => filename),
      revisions: revisions.map(({ number, how, added, removed, changed }) => [number, how, added, removed, changed]),
    };
  } catch (error) {
    if (error instanceof TrainyardError) return error.status;
    throw error;
  }
}

describe('a change whose first answer is lost has the result of one whose answer arrives', () => {
  for (const [name, change] of Object.entries(CHANGES)) {
    test(name, async () => {
      const [direct, repeated] = [await newFixture(), await newFixture()];
      const answer = await change(clientAt(server.url), direct);
      proxy.rule(({ method, time }) => (method !== 'GET' && time === 1 ? 'lose-answer' : undefined));
      expect(await change(clientAt(proxy.url), repeated)).toEqual(answer);
      expect(proxy.seen.some(({ method, status }) => method !== 'GET' && status === undefined)).toBe(true);
      expect(await stateOf(repeated)).toEqual(await stateOf(direct));
    });
  }
});

describe('what another client did meanwhile stays', () => {
  const CONDITIONAL: Record<string, Change> = {
    'an upload': (client, { id, a }) =>
      client.upload(id, 'a.txt', bytesOf('mine'), { ifMatch: a.etag }).catch(({ current }) => current),
    'the removal of files': async (client, { id, a }) =>
      (await client.bulk.removeFiles(id, ['a.txt'], { ifMatch: { 'a.txt': a.etag } }))[0]?.current,
  };
  for (const [name, change] of Object.entries(CONDITIONAL)) {
    test(`after ${name} whose answer was lost`, async () => {
      const fixture = await newFixture();
      // As long as that of the change, so that the bytes are compared.
      let theirs: string | undefined;
      proxy.rule(async ({ time }) => {
        if (time === 1) return 'lose-answer';
        theirs = (await clientAt(server.url).upload(fixture.id, 'a.txt', bytesOf('them'))).etag;
        return undefined;
      });
      expect(await change(clientAt(proxy.url), fixture)).toEqual({ etag: theirs, size_bytes: 4 });
      expect(await (await clientAt(server.url).file(fixture.id, 'a.txt')).text()).toBe('them');
    });
  }
});
