import { beforeEach, describe, expect, test } from 'vitest';
import { type Revision, TrainyardClient } from '../../src/client/client.js';
import * as media from '../fixtures/media.js';
import { put } from '../harness/api.js';
import { sharedServer } from '../harness/shared-server.js';

const server = await sharedServer();
const api = await server.api();
const client = new TrainyardClient({ baseUrl: server.url, token: api.token });
const image = await media.png();
let id: string;

/** A client whose writes are one revision. */
const change = (changeId: string, how: 'edit' | 'bulk' | 'push' = 'push') =>
  new TrainyardClient({ baseUrl: server.url, token: api.token, change: { how, id: changeId } });

const save = (changeId: string, captions: Record<string, string>) =>
  change(changeId, 'edit').bulk.saveCaptions(
    id,
    Object.entries(captions).map(([filename, text]) => ({ filename, text })),
  );

const textsOf = async () => {
  const names = (await api.filenames(id)).filter((name) => name.endsWith('.txt'));
  if (names.length === 0) return {};
  return Object.fromEntries((await client.bulk.captions(id, names)).map(({ filename, text }) => [filename, text]));
};

const revisions = async (): Promise<Revision[]> => (await client.history.revisions(id)).revisions;

/** Revision 1: a picture and its caption; 2: another text; 3: another pair, and the first is gone. */
async function threeRevisions(): Promise<string> {
  const push = change('one');
  await push.upload(id, 'a.png', new Blob([image as Uint8Array<ArrayBuffer>]));
  await push.upload(id, 'a.txt', new Blob(['a dog']));
  const { digest } = (await api.status(id)).body;
  await save('two', { 'a.txt': 'a dog, running' });
  const bulk = change('three', 'bulk');
  await bulk.upload(id, 'b.png', new Blob([(await media.png({ seed: 2 })) as Uint8Array<ArrayBuffer>]));
  await bulk.bulk.saveCaptions(id, [{ filename: 'b.txt', text: 'a cat' }]);
  await bulk.bulk.removeFiles(id, ['a.png', 'a.txt']);
  return digest ?? '';
}

beforeEach(async () => {
  id = await api.newDataset();
});

/** What each revision did, the earliest first: how, and the numbers of files added, removed and replaced. */
const summary = async () =>
  (await revisions()).toReversed().map(({ how, added, removed, changed: replaced }) => [how, added, removed, replaced]);

describe('every way to change files', () => {
  const text = (content: string) => new Blob([content]);

  test('is a revision, which keeps the earlier file and who did it', async () => {
    const upload = async (content: string) => (await client.upload(id, 'a.txt', text(content))).revision;
    expect(await upload('first')).toBe(1);
    // Its upload through a link has no token.
    expect((await put(await api.link(id, 'a.txt', 6), 'second')).status).toBe(200);
    await expect.poll(textsOf).toEqual({ 'a.txt': 'second' });
    const captions = [{ filename: 'a.txt', text: 'third' }];
    expect((await api.json('PUT', `/${id}/captions`, { captions })).body).toMatchObject({ revision: 3 });
    expect((await api.request('DELETE', `/${id}/files/a.txt`)).body).toMatchObject({ deleted: true, revision: 4 });
    expect(await upload('fifth')).toBe(5);
    const filenames = ['a.txt', 'no.txt'];
    expect((await api.json('DELETE', `/${id}/files`, { filenames })).body).toMatchObject({ revision: 6 });
    expect(await summary()).toEqual([
      ['upload', 1, 0, 0],
      ['upload', 0, 0, 1],
      ['edit', 0, 0, 1],
      ['delete', 0, 1, 0],
      ['upload', 1, 0, 0],
      ['delete', 0, 1, 0],
    ]);
    expect(new Set((await revisions()).map(({ token }) => token?.id)).size).toBe(1);
    for (const [i, content] of ['first', 'second', 'third'].entries())
      expect(await (await client.file(id, 'a.txt', { revision: i + 1 })).text()).toBe(content);
  });

  test('with a name that none can have is rejected, and nothing is written', async () => {
    const body = JSON.stringify({ captions: [{ filename: 'a.txt', text: 'text' }] });
    for (const name of ['push;', 'delete; 1', `push; ${'x'.repeat(65)}`, 'push; é']) {
      const headers = { 'trainyard-change': Buffer.from(name).toString('latin1'), 'content-type': 'application/json' };
      const answer = await api.request('PUT', `/${id}/captions`, { headers, body });
      const reason = expect.stringContaining('Trainyard-Change');
      expect([answer.status, answer.body.error_message]).toEqual([422, reason]);
    }
    expect(await api.filenames(id)).toEqual([]);
  });
});

describe('revisions', () => {
  test('say what was changed, how and by which token, newest first, and page by page', async () => {
    expect((await client.history.revisions(id)).revisions).toEqual([]);
    const digest = await threeRevisions();
    const found = await revisions();
    expect(found).toMatchObject([
      { number: 3, how: 'bulk', added: 2, removed: 2, changed: 0, files: 2, ready: true, is_latest: true },
      { number: 2, how: 'edit', added: 0, removed: 0, changed: 1, files: 2, ready: true, is_latest: false },
      { number: 1, how: 'push', added: 2, removed: 0, changed: 0, files: 2, ready: true, is_latest: false, digest },
    ]);
    expect(found[0]).toMatchObject({ account: expect.stringMatching(/^default/), restored_from: null });
    expect((await client.account()).usage?.history_bytes).toBeGreaterThanOrEqual(image.length);
    expect(api.token.startsWith((found[0]?.token?.name ?? '-').replace('…', ''))).toBe(true);
    const first = await client.history.revisions(id, { limit: 2 });
    expect(first.revisions.map(({ number }) => number)).toEqual([3, 2]);
    const second = await client.history.revisions(id, { limit: 2, before: first.next_before ?? 0 });
    expect(second).toMatchObject({ revisions: [{ number: 1 }], next_before: null });
  });

  test('can be compared, in both directions and with nothing, with the texts of captions, page by page', async () => {
    await threeRevisions();
    const edit = await client.history.diff(id, { from: 1, to: 2 });
    expect(edit).toMatchObject({ added: [], removed: [], total: { added: 0, removed: 0, changed: 1 } });
    expect(edit.changed).toMatchObject([{ filename: 'a.txt', from_text: 'a dog', to_text: 'a dog, running' }]);
    const back = await client.history.diff(id, { from: 3, to: 2 });
    expect(back.added.map(({ filename, text }) => [filename, text])).toEqual([
      ['a.png', undefined],
      ['a.txt', 'a dog, running'],
    ]);
    expect(back.removed.map(({ filename }) => filename)).toEqual(['b.png', 'b.txt']);
    expect((await client.history.diff(id, { from: 0, to: 1 })).total).toEqual({ added: 2, removed: 0, changed: 0 });
    const { next_after } = await client.history.diff(id, { from: 1, to: 3, limit: 3 });
    const rest = await client.history.diff(id, { from: 1, to: 3, limit: 3, after: next_after ?? '' });
    expect(rest).toMatchObject({ added: [{ filename: 'b.txt' }], removed: [], next_after: null });
  });

  test('can be read in every way that the dataset can be read', async () => {
    const digest = await threeRevisions();
    const revision = 1;
    expect(await (await client.file(id, 'a.txt', { revision })).text()).toBe('a dog');
    expect(await client.bulk.captions(id, ['a.txt'], { revision: 2 })).toMatchObject([{ text: 'a dog, running' }]);
    expect((await client.thumbnail(id, 'a.png', { revision })).headers.get('content-type')).toBe('image/webp');
    const archive = await (await client.bulk.archive(id, ['a.png', 'a.txt'], { revision })).arrayBuffer();
    expect(Buffer.from(archive).includes(image)).toBe(true);
    expect((await client.history.revision(id, 1)).manifest.map(({ filename }) => filename)).toEqual(['a.png', 'a.txt']);
    for (const query of [{ revision }, { digest }, { digest: digest.toUpperCase() }]) {
      expect(await client.manifest(id, query)).toMatchObject({ status: 'READY', digest, revision: 1, files: [{}, {}] });
    }
    const links = await client.downloadLinks(id);
    expect(await (await fetch(links.file({ filename: 'a.txt', revision }))).text()).toBe('a dog');
    const zip = await fetch(links.zip({ revision }));
    expect(zip.headers.get('content-disposition')).toContain('(revision 1).zip');
    expect(Buffer.from(await zip.arrayBuffer()).includes('a dog')).toBe(true);
    await expect(client.file(id, 'b.txt', { revision })).rejects.toMatchObject({ code: 'file_not_found' });
    await api.link(id, 'later.txt', 5);
    expect(await client.manifest(id, { revision: 3 })).toMatchObject({ status: 'READY', revision: 3 });
  });

  test('that are not there are answered with those that are', async () => {
    await threeRevisions();
    const message = expect.stringContaining('Kept are 1 to 3');
    for (const call of [
      () => client.history.diff(id, { from: 1, to: 9 }),
      () => client.history.restore(id, 9),
      () => client.history.undo(id, 9),
      () => client.history.pin(id, 9),
      () => client.manifest(id, { digest: '0'.repeat(64) }),
      () => client.file(id, 'a.txt', { revision: 9 }),
    ]) {
      await expect(call()).rejects.toMatchObject({ code: 'revision_not_found', message });
    }
  });
});

describe('a restore', () => {
  test('makes the files those of the revision, as a new one, and nothing is uploaded', async () => {
    const digest = await threeRevisions();
    const { restored, revision } = await change('one').history.restore(id, 1);
    expect(restored).toBe(true);
    expect(revision).toMatchObject({ number: 4, how: 'restore', restored_from: 1, added: 2, removed: 2, digest });
    const { body } = await api.status(id);
    expect(body).toMatchObject({ status: 'READY', digest, counts: { images: 1, captions: 1, pending: 0 } });
    expect(await textsOf()).toEqual({ 'a.txt': 'a dog' });
    expect(Buffer.from(await (await client.file(id, 'a.png')).arrayBuffer()).equals(image)).toBe(true);
    const again = await client.history.restore(id, 1);
    expect(again).toMatchObject({ restored: false, revision: { number: 4 } });
    await client.history.restore(id, 3);
    expect(await textsOf()).toEqual({ 'b.txt': 'a cat' });
  });

  test('keeps pending uploads, and replaces rejected ones of its names', async () => {
    await threeRevisions();
    const link = await api.link(id, 'a.txt', 5);
    await api.upload(id, 'a.png', 'not an image');
    await api.upload(id, 'bad.png', 'not an image');
    expect((await api.status(id)).body.counts).toMatchObject({ pending: 1, rejected: 2 });
    await client.history.restore(id, 2);
    expect((await api.status(id)).body.counts).toMatchObject({ pending: 1, rejected: 1, images: 1, captions: 1 });
    const { status } = await fetch(link, { method: 'PUT', body: 'later' });
    expect([status, await textsOf()]).toEqual([200, { 'a.txt': 'later' }]);
  });
});

test('an undo reverses what the revision changed, and nothing that was changed since', async () => {
  await save('start', { 'a.txt': 'a', 'b.txt': 'b', 'c.txt': 'c' });
  await save('bulk', { 'a.txt': 'A', 'b.txt': 'B', 'd.txt': 'D' });
  await save('later', { 'b.txt': 'mine', 'e.txt': 'e' });
  const { revision, undone, kept } = await client.history.undo(id, 2);
  expect([undone, kept]).toEqual([['a.txt', 'd.txt'], ['b.txt']]);
  expect(revision).toMatchObject({ number: 4, how: 'undo', restored_from: 2, added: 0, removed: 1, changed: 1 });
  expect(await textsOf()).toEqual({ 'a.txt': 'a', 'b.txt': 'mine', 'c.txt': 'c', 'e.txt': 'e' });
  // Sent again, as after a lost answer.
  expect(await client.history.undo(id, 2)).toEqual({ revision: null, undone: ['a.txt', 'd.txt'], kept: ['b.txt'] });
});
