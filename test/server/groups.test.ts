import { expect, test } from 'vitest';
import { TrainyardClient } from '../../src/client/client.js';
import * as media from '../fixtures/media.js';
import { sharedServer } from '../harness/shared-server.js';

const server = await sharedServer();
const api = await server.api();
const client = new TrainyardClient({ baseUrl: server.url, token: api.token });

async function datasetOf(...stems: string[]): Promise<string> {
  const id = await api.newDataset();
  for (const [seed, stem] of stems.entries()) {
    await api.upload(id, `${stem}.jpg`, await media.jpeg({ seed }));
    await api.upload(id, `${stem}.txt`, stem);
  }
  return id;
}

/** The groups of a dataset, and the group of each file that has one. */
async function groupsOf(id: string) {
  const { groups, files } = await client.status(id);
  const grouped = files.flatMap(({ filename, group }) => (group === undefined ? [] : [[filename, group]]));
  return { groups, files: Object.fromEntries(grouped) };
}

test('a group has pictures with their captions, and its number of repeats', async () => {
  const id = await datasetOf('a', 'b');
  expect(await groupsOf(id)).toEqual({ groups: undefined, files: {} });
  const saved = await client.groups.save(id, 'cat woman', { repeats: 10, add: ['a.jpg', 'b.txt'] });
  expect(saved).toEqual({ name: 'cat woman', repeats: 10, is_reg: false, files: 4 });
  await client.groups.save(id, 'class', { is_reg: true, add: ['b.jpg'] });
  await client.groups.save(id, 'cat woman', { repeats: 12 });
  expect(await groupsOf(id)).toEqual({
    groups: [
      { name: 'cat woman', repeats: 12, is_reg: false, files: 2 },
      { name: 'class', repeats: 1, is_reg: true, files: 2 },
    ],
    files: { 'a.jpg': 'cat woman', 'a.txt': 'cat woman', 'b.jpg': 'class', 'b.txt': 'class' },
  });
  expect(await client.manifest(id)).toMatchObject({ groups: [{ repeats: 12 }, { is_reg: true }] });
  await client.groups.save(id, 'class', { remove: ['b.jpg', 'a.jpg'] });
  expect(await groupsOf(id)).toMatchObject({ groups: [{ name: 'cat woman', files: 2 }] });
  await client.groups.remove(id, 'cat woman');
  expect(await groupsOf(id)).toEqual({ groups: undefined, files: {} });
});

test('a group keeps files that are replaced or follow later, goes with its files, and comes back with them', async () => {
  const id = await datasetOf('a', 'b');
  await client.groups.save(id, 'cat', { repeats: 3, add: ['a.jpg'] });
  await client.removeFile(id, 'a.txt');
  await api.upload(id, 'a.jpg', await media.jpeg({ seed: 77 }));
  await client.bulk.saveCaptions(id, [{ filename: 'a.txt', text: 'another' }]);
  expect((await groupsOf(id)).files).toEqual({ 'a.jpg': 'cat', 'a.txt': 'cat' });
  await client.bulk.removeFiles(id, ['a.jpg', 'a.txt'], {});
  expect(await groupsOf(id)).toEqual({ groups: undefined, files: {} });
  // Another group does not end it: the history has its files.
  await client.groups.save(id, 'other', { add: ['b.jpg'] });
  const [latest] = (await client.history.revisions(id)).revisions;
  await client.history.undo(id, latest?.number ?? 0);
  expect((await groupsOf(id)).groups).toEqual([
    { name: 'cat', repeats: 3, is_reg: false, files: 2 },
    { name: 'other', repeats: 1, is_reg: false, files: 2 },
  ]);
  // The history has no group that is deleted.
  await client.groups.remove(id, 'cat');
  await client.history.restore(id, 1);
  expect((await groupsOf(id)).files).not.toHaveProperty('a.jpg');
});

test('an undo brings a caption back into the group in which its picture is now', async () => {
  const id = await datasetOf('a');
  await client.groups.save(id, 'first', { add: ['a.jpg'] });
  await client.bulk.saveCaptions(id, [{ filename: 'a.txt', text: 'another' }]);
  await client.groups.save(id, 'second', { add: ['a.jpg'] });
  const [latest] = (await client.history.revisions(id)).revisions;
  await client.history.undo(id, latest?.number ?? 0);
  expect((await groupsOf(id)).files).toEqual({ 'a.jpg': 'second', 'a.txt': 'second' });
  await client.bulk.removeFiles(id, ['a.jpg', 'a.txt'], {});
  await api.upload(id, 'a.jpg', await media.jpeg({ seed: 78 }));
  await client.history.restore(id, 1);
  expect((await groupsOf(id)).files).toEqual({});
});

test('a group takes a clip that is still being checked, and more names than one request has', async () => {
  const { id } = await client.create();
  const names = Array.from({ length: 1200 }, (_, i) => `${i}.txt`);
  const captions = names.map((filename) => ({ filename, text: 'x' }));
  await client.bulk.saveCaptions(id, captions);
  await api.upload(id, 'clip.mp4', media.clip('faststart.mp4'));
  const saved = await client.groups.save(id, 'many', { repeats: 2, add: [...names, 'clip.mp4'] });
  expect(saved.files).toBeGreaterThanOrEqual(1200);
  const { files } = await client.waitUntilReady(id);
  expect(files.filter(({ group }) => group === 'many')).toHaveLength(1201);
});

test('a group that is not possible is rejected with words', async () => {
  const id = await datasetOf('a');
  const put = (group: string, body: object) => api.json('PUT', `/${id}/groups/${encodeURIComponent(group)}`, body);
  for (const [{ body }, code, message] of [
    [await put('new', { repeats: 2 }), 404010, 'The dataset has no group "new". Name its files in "add" to make it.'],
    [await put('new', { add: ['gone.jpg'] }), 404002, 'gone.jpg'],
    [await put('new', { add: ['a.jpg'], repeats: 0 }), 422002, 'repeats'],
    [await put('a/b', { add: ['a.jpg'] }), 422003, 'contains a slash'],
    [await api.request('DELETE', `/${id}/groups/none`), 404010, 'none'],
  ] as const) {
    expect([body.error_code, body.error_message]).toEqual([code, expect.stringContaining(message)]);
  }
});
