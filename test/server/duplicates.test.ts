import { readFileSync } from 'node:fs';
import sharp from 'sharp';
import { expect, test } from 'vitest';
import { TrainyardClient } from '../../src/client/client.js';
import * as media from '../fixtures/media.js';
import { eventually } from '../harness/server.js';
import { sharedServer } from '../harness/shared-server.js';

const server = await sharedServer();
const api = await server.api();
const client = new TrainyardClient({ baseUrl: server.url, token: api.token });

const photo = (name: string) => readFileSync(new URL(`../fixtures/images/pdq/${name}`, import.meta.url));
const BRIDGE = photo('bridge.jpg');
const STREET = photo('q1050.jpg');

async function datasetOf(files: Record<string, Buffer | string>): Promise<string> {
  const id = await api.newDataset();
  for (const [name, bytes] of Object.entries(files)) expect((await api.upload(id, name, bytes)).status).toBe(200);
  return id;
}

/** The answer once all images are compared. */
const duplicatesOf = (id: string, of = client) =>
  eventually(async () => {
    const answer = await of.duplicates.list(id);
    return answer.pending === 0 ? answer : undefined;
  });

test('duplicates are groups around a keeper, with its reason and what its members have', async () => {
  const half = await sharp(BRIDGE).resize(360).jpeg().toBuffer();
  const mirrored = await sharp(BRIDGE).flop().resize(400).png().toBuffer();
  const id = await datasetOf({
    ...{ 'bridge.jpg': BRIDGE, 'half.jpg': half, 'mirrored.png': mirrored },
    ...{ 'street.jpg': STREET, 'street-2.jpg': STREET, 'street-2.txt': 'a street', 'other.jpg': photo('q0291.jpg') },
    ...{ 'clip.mp4': media.clip('faststart.mp4'), 'copy.mp4': media.clip('faststart.mp4') },
    // The server can't decode this type.
    'windows.bmp': media.bmp(),
  });
  const { groups } = await duplicatesOf(id);
  expect(groups).toHaveLength(3);
  const bytes = { pixels: 360 * 226, size_bytes: half.length };
  expect(groups).toContainEqual({
    keeper: 'bridge.jpg',
    reason: 'pixels',
    members: [
      { filename: 'half.jpg', kind: 'alike', distance: expect.any(Number), ...bytes },
      expect.objectContaining({ filename: 'mirrored.png', kind: 'mirrored' }),
    ],
  });
  expect(groups).toContainEqual({
    keeper: 'street-2.jpg',
    reason: 'caption',
    members: [{ filename: 'street.jpg', kind: 'exact', distance: 0, pixels: 65_536, size_bytes: STREET.length }],
  });
  expect(groups).toContainEqual(expect.objectContaining({ keeper: 'clip.mp4', reason: 'age' }));
});

test('two images that a person calls different are remembered, for other uploads of the same bytes too', async () => {
  const smaller = await sharp(STREET).jpeg({ quality: 50 }).toBuffer();
  const id = await datasetOf({ 'a.jpg': STREET, 'b.jpg': smaller });
  expect((await duplicatesOf(id)).groups).toMatchObject([{ keeper: 'a.jpg', reason: 'bytes' }]);
  const decision = { filenames: ['a.jpg', 'b.jpg'], different: true };
  expect(await client.duplicates.decide(id, decision)).toEqual(decision);
  await api.request('DELETE', `/${id}/files/b.jpg`);
  await api.upload(id, 'c.jpg', smaller);
  expect((await duplicatesOf(id)).groups).toEqual([]);
  await client.duplicates.decide(id, { filenames: ['c.jpg', 'a.jpg'], different: false });
  expect((await duplicatesOf(id)).groups).toMatchObject([{ keeper: 'a.jpg' }]);
  const missing = client.duplicates.decide(id, { filenames: ['a.jpg', 'gone.jpg'], different: true });
  await expect(missing).rejects.toMatchObject({ status: 404, message: expect.stringContaining('gone.jpg') });
  for (const filenames of [['a.jpg'], []]) {
    expect((await api.json('POST', `/${id}/duplicates`, { filenames, different: true })).status).toBe(422);
  }
});
