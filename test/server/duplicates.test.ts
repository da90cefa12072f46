import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from '@photostructure/sqlite';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TrainyardClient } from '../../src/client/client.js';
import * as media from '../fixtures/media.js';
import type { Api } from '../harness/api.js';
import { discardServer, eventually, startServer, type TestServer } from '../harness/server.js';

let server: TestServer;
let api: Api;
let client: TrainyardClient;
beforeAll(async () => {
  server = await startServer({ 'caption-grace-seconds': 0 });
  api = await server.api();
  client = new TrainyardClient({ baseUrl: server.url, token: api.token });
});
afterAll(() => discardServer(server));

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

const thumbhashesOf = async (id: string) => {
  const { files } = await client.status(id);
  return Object.fromEntries(files.flatMap(({ filename, thumbhash }) => (thumbhash ? [[filename, thumbhash]] : [])));
};

describe('an uploaded image', () => {
  test('gets a placeholder in its file, which events announce', async () => {
    const id = await api.newDataset();
    const stop = new AbortController();
    const seen = (async () => {
      for await (const { files = [] } of client.events(id, { signal: stop.signal })) {
        const hashed = files.filter(({ thumbhash }) => thumbhash !== undefined).map(({ filename }) => filename);
        if (hashed.length > 0) return hashed;
      }
      return [];
    })();
    await api.upload(id, 'a.jpg', BRIDGE);
    await api.upload(id, 'a.txt', 'a bridge');
    expect(await seen).toEqual(['a.jpg']);
    stop.abort();
    const { 'a.jpg': thumbhash = '', ...others } = await thumbhashesOf(id);
    expect(Buffer.from(thumbhash, 'base64').length).toBeLessThanOrEqual(25);
    expect(others).toEqual({});
    const thumbnail = await api.raw('GET', `/${id}/files/a.jpg/thumbnail`);
    expect((await sharp(Buffer.from(await thumbnail.arrayBuffer())).metadata()).width).toBe(320);
  });

  test('that the server can not decode is not compared, and others of its dataset are', async () => {
    const id = await datasetOf({ 'a.bmp': media.bmp(), 'b.jpg': STREET, 'c.jpg': STREET });
    const { groups } = await duplicatesOf(id);
    expect(groups).toMatchObject([{ keeper: 'b.jpg', members: [{ filename: 'c.jpg', kind: 'exact' }] }]);
    expect(Object.keys(await thumbhashesOf(id))).toEqual(['b.jpg', 'c.jpg']);
  });
});

describe('duplicates', () => {
  test('are groups around a keeper, with its reason and what its members have', async () => {
    const half = await sharp(BRIDGE).resize(360).jpeg().toBuffer();
    const mirrored = await sharp(BRIDGE).flop().resize(400).png().toBuffer();
    const id = await datasetOf({
      ...{ 'bridge.jpg': BRIDGE, 'half.jpg': half, 'mirrored.png': mirrored },
      ...{ 'street.jpg': STREET, 'street-2.jpg': STREET, 'street-2.txt': 'a street', 'other.jpg': photo('q0291.jpg') },
      ...{ 'clip.mp4': media.clip('faststart.mp4'), 'copy.mp4': media.clip('faststart.mp4') },
    });
    const { groups, pending } = await duplicatesOf(id);
    expect(pending).toBe(0);
    expect(groups).toHaveLength(3);
    expect(groups).toContainEqual({
      keeper: 'bridge.jpg',
      reason: 'pixels',
      members: [
        {
          filename: 'half.jpg',
          kind: 'alike',
          distance: expect.any(Number),
          pixels: 360 * 226,
          size_bytes: half.length,
        },
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

  test('that a person calls different are remembered, for other names and other uploads of the same bytes too', async () => {
    const smaller = await sharp(STREET).jpeg({ quality: 50 }).toBuffer();
    const id = await datasetOf({ 'a.jpg': STREET, 'b.jpg': smaller });
    expect((await duplicatesOf(id)).groups).toMatchObject([{ keeper: 'a.jpg', reason: 'bytes' }]);
    const decision = { filenames: ['a.jpg', 'b.jpg'], different: true };
    expect(await client.duplicates.decide(id, decision)).toEqual(decision);
    expect((await duplicatesOf(id)).groups).toEqual([]);
    await api.request('DELETE', `/${id}/files/b.jpg`);
    await api.upload(id, 'c.jpg', smaller);
    expect((await duplicatesOf(id)).groups).toEqual([]);
    await client.duplicates.decide(id, { filenames: ['c.jpg', 'a.jpg'], different: false });
    expect((await duplicatesOf(id)).groups).toMatchObject([{ keeper: 'a.jpg' }]);
  });

  test('are decided by tokens that may write, of files that exist', async () => {
    const id = await datasetOf({ 'a.jpg': STREET, 'b.jpg': STREET });
    const { secret: token } = await client.tokens.make({ readOnly: true });
    const reader = new TrainyardClient({ baseUrl: server.url, token });
    expect((await duplicatesOf(id, reader)).groups).toHaveLength(1);
    const decision = { filenames: ['a.jpg', 'b.jpg'], different: true };
    await expect(reader.duplicates.decide(id, decision)).rejects.toMatchObject({ status: 403 });
    const missing = client.duplicates.decide(id, { filenames: ['a.jpg', 'gone.jpg'], different: true });
    await expect(missing).rejects.toMatchObject({ status: 404, message: expect.stringContaining('gone.jpg') });
    for (const filenames of [['a.jpg'], []]) {
      const answer = await api.json('POST', `/${id}/duplicates`, { filenames, different: true });
      expect(answer.status).toBe(422);
    }
    await expect(client.duplicates.list('nowhere')).rejects.toMatchObject({ status: 404 });
  });
});

describe.skipIf(process.env.TRAINYARD_TEST_COMBINATION !== undefined)('a data folder of 0.1.0', () => {
  test('is upgraded when it is opened, and its images are compared', async () => {
    const earlier = await startServer({ 'caption-grace-seconds': 0 });
    try {
      const old = await earlier.api();
      const id = await old.newDataset();
      for (const name of ['a.jpg', 'b.jpg']) await old.upload(id, name, STREET);
      await earlier.stop();
      const db = new DatabaseSync(join(earlier.dataFolder, 'catalog.sqlite'));
      const tables = ['perceptual_hash', 'different_files', 'caption_proposal', 'caption_run', 'caption_preset'];
      for (const table of tables) db.exec(`drop table ${table}`);
      for (const table of ['file', 'past_file'])
        for (const column of ['thumbhash', 'group_name', 'origin'])
          db.exec(`alter table ${table} drop column ${column}`);
      db.exec(`
        alter table dataset drop column file_groups;
        delete from job where kind = 'hash-images';
        update schema_version set version = '0.1.0'`);
      db.close();
      const upgraded = await startServer({ 'caption-grace-seconds': 0 }, { dataFolder: earlier.dataFolder });
      try {
        const { token } = await upgraded.api();
        const { groups } = await duplicatesOf(id, new TrainyardClient({ baseUrl: upgraded.url, token }));
        expect(groups).toMatchObject([{ keeper: 'a.jpg', reason: 'age', members: [{ filename: 'b.jpg' }] }]);
      } finally {
        await upgraded.stop();
      }
    } finally {
      await discardServer(earlier);
    }
  });
});
