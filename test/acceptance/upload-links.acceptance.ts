import { afterAll, describe, expect, test } from 'vitest';
import { HTML, jpeg, png } from './files.js';
import { call, callJson, linkOf, links, newDataset } from './service.js';
import { put, removeDatasets, statusOf, upload, waitForStatus } from './service.js';

afterAll(removeDatasets);

/** Sends a file to a new link, and polls until it is stored. */
async function store(id: string, filename: string, bytes: Buffer): Promise<void> {
  expect(await put(await linkOf(id, filename, bytes.length), bytes)).toBeLessThan(300);
}

describe('get-upload-endpoint', () => {
  test('returns a link for each file, under the name as it was sent', async () => {
    const id = await newDataset();
    const names = ['clip.mp4', 'e\u0301 "1".jpg', '100%.png', '猫.txt', '1.jpg'];
    const { status, body } = await links(id, Object.fromEntries(names.map((name) => [name, 5])));
    expect(status).toBe(200);
    expect(Object.keys(body.uploads).sort()).toEqual(names.toSorted());
    for (const { upload_url, method, headers, expires_at } of Object.values(body.uploads)) {
      expect([method, URL.canParse(upload_url)]).toEqual(['PUT', true]);
      expect(Date.parse(`${expires_at.slice(0, 23)}Z`)).toBeGreaterThan(Date.now());
      for (const [name, value] of Object.entries(headers)) {
        expect(value).toBeTypeOf('string');
        expect(name).not.toMatch(/^(content-length|host|transfer-encoding)$/i);
      }
    }
    expect(await statusOf(id)).toMatchObject({ status: 'UPLOADING', files: [] });
  });

  test.each<[string, Record<string, unknown>, number]>([
    ['a type that is not accepted', { 'a.exe': 5 }, 415],
    ['a path', { '../a.jpg': 5 }, 422],
    ['a size of 0', { 'a.jpg': 0 }, 422],
    ['a negative size', { 'a.jpg': -1 }, 422],
    ['a fraction', { 'a.jpg': 1.5 }, 422],
    ['a size that is no number', { 'a.jpg': '5' }, 422],
    ['one name in two Unicode forms', { '\u00e9.jpg': 5, 'e\u0301.jpg': 5 }, 422],
  ])('answers with an error to %s and reserves nothing', async (_, sizes, expected) => {
    const id = await newDataset();
    const { status, body } = await links(id, { 'good.jpg': 5, ...sizes });
    expect(status).toBe(expected);
    expect(body.detail?.length).toBeGreaterThan(0);
    expect((await statusOf(id)).status).toBe('DRAFT');
  });

  test('answers 422 to a body without sizes, and 415 to a body that is not JSON', async () => {
    const id = await newDataset();
    expect((await callJson('POST', `/${id}/get-upload-endpoint`, {})).status).toBe(422);
    const text = { 'content-type': 'text/plain' };
    expect((await call('POST', `/${id}/get-upload-endpoint`, { body: 'a.jpg', headers: text })).status).toBe(415);
  });
});

describe('a PUT to a link', () => {
  test('keeps the dataset UPLOADING until the last file is stored, then READY', async () => {
    const id = await newDataset();
    const [image, caption] = [png(), Buffer.from('a dog')];
    const { body } = await links(id, { 'dog.png': image.length, 'dog.txt': caption.length });
    expect(await statusOf(id)).toMatchObject({ status: 'UPLOADING', files: [] });
    expect(await put(body.uploads['dog.png']!, image)).toBeOneOf([200, 204]);
    expect((await statusOf(id)).status).toBe('UPLOADING');
    expect(await put(body.uploads['dog.txt']!, caption)).toBeOneOf([200, 204]);
    expect((await statusOf(id)).status).toBeOneOf(['UPLOADING', 'READY']);
    const { files } = await waitForStatus(id, 'READY');
    const sizes = Object.fromEntries(files.map(({ filename, size_bytes }) => [filename, size_bytes]));
    expect(sizes).toEqual({ 'dog.png': image.length, 'dog.txt': 5 });
  });

  test.each(['猫 é.txt', 'a "b".txt', '100% <b>&.txt'])('stores a file named %s', async (filename) => {
    const id = await newDataset();
    await store(id, filename.replace('.txt', '.png'), png());
    await store(id, filename, Buffer.from('a dog'));
    const { files } = await waitForStatus(id, 'READY');
    expect(files.map((file) => file.filename)).toContain(filename);
  });

  test.each(['do', 'dogs'])('of too few or too many bytes is refused and stores nothing: %s', async (body) => {
    const id = await newDataset();
    const status = await put(await linkOf(id, 'a.txt', 3), body);
    expect([400 <= status && status < 500, status]).toEqual([true, status]);
    expect((await statusOf(id)).files).toEqual([]);
  });

  test('without a length is refused and stores nothing', async () => {
    const id = await newDataset();
    const link = await linkOf(id, 'a.txt', 5);
    // An object store misses the signed length before it asks for one.
    expect(await put(link, new Blob(['a dog']).stream())).toBeOneOf([403, 411]);
    expect((await statusOf(id)).files).toEqual([]);
  });

  test('changes nothing once the link has been used', async () => {
    const id = await newDataset();
    await upload(id, 'a.txt', 'a dog');
    const [first, second] = [png(1), png(2)];
    expect(second.length).toBe(first.length);
    const link = await linkOf(id, 'a.png', first.length);
    expect(await put(link, first)).toBeOneOf([200, 204]);
    const { files } = await waitForStatus(id, 'READY');
    // An object store may still accept the bytes; the service must not.
    expect(await put(link, second)).toBeOneOf([200, 403, 409, 412]);
    const after = await statusOf(id);
    // A service may add what it finds out about a file later.
    const bytesOf = (list: typeof files) =>
      list.map(({ filename, size_bytes, sha256 }) => [filename, size_bytes, sha256]);
    expect([after.status, bytesOf(after.files)]).toEqual(['READY', bytesOf(files)]);
  });

  test('with a changed signature is 403', async () => {
    const id = await newDataset();
    const link = await linkOf(id, 'a.txt', 5);
    const url = new URL(link.upload_url);
    const [name, signature] = [...url.searchParams].find(([key]) => /signature$/i.test(key)) ?? [];
    expect(signature).toBeTypeOf('string');
    url.searchParams.set(name!, `${signature![0] === 'a' ? 'b' : 'a'}${signature!.slice(1)}`);
    expect(await put({ ...link, upload_url: url.href }, 'a dog')).toBe(403);
    expect((await statusOf(id)).files).toEqual([]);
  });

  test('to a link that a newer one replaced stores nothing', async () => {
    const id = await newDataset();
    const [old, renewed] = [await linkOf(id, 'a.txt', 5), await linkOf(id, 'a.txt', 6)];
    // An object store may still accept the bytes; the service must not.
    await put(old, 'a dog');
    expect((await statusOf(id)).files).toEqual([]);
    await store(id, 'a.png', png());
    expect(await put(renewed, 'a wolf')).toBeOneOf([200, 204]);
    const { files } = await waitForStatus(id, 'READY');
    expect(files.find(({ filename }) => filename === 'a.txt')?.size_bytes).toBe(6);
  });

  test('of bytes that do not match the filename makes the dataset FAILED until a valid file replaces them', async () => {
    const id = await newDataset();
    await upload(id, 'a.txt', 'a dog');
    await put(await linkOf(id, 'a.jpg', HTML.length), HTML);
    const failed = await waitForStatus(id, 'FAILED');
    expect(failed.files.map(({ filename }) => filename)).toEqual(['a.txt']);
    expect(failed.error?.problems.map(({ filename }) => filename)).toContain('a.jpg');
    await store(id, 'a.jpg', jpeg());
    await waitForStatus(id, 'READY');
  });
});
