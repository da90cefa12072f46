import { createHash } from 'node:crypto';
import { afterAll, describe, expect, test } from 'vitest';
import { clip, HTML, jpeg, png } from './files.js';
import { call, filenamesOf, newDataset, removeDatasets } from './service.js';
import { statusOf, upload, uploadRaw, waitForStatus } from './service.js';

afterAll(removeDatasets);

const MAX_BYTES = 150_000_000;

describe('a direct upload', () => {
  test.each([
    ['dog.jpg', jpeg(), 'image/jpeg'],
    ['dog.png', png(), 'image/png'],
    ['dog.mp4', clip(), 'video/mp4'],
    ['dog.txt', Buffer.from('a dog'), expect.stringMatching(/^text\/plain/)],
  ])('of %s is answered with size, type and SHA-256', async (filename, bytes, content_type) => {
    const id = await newDataset();
    const { status, body } = await upload(id, filename, bytes);
    expect(status).toBe(200);
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    expect(body).toMatchObject({ dataset_id: id, filename, size_bytes: bytes.length, content_type, sha256 });
    expect((await statusOf(id)).files).toMatchObject([{ filename, size_bytes: bytes.length }]);
  });

  test('pairs a caption with the image of the same stem in the same case only', async () => {
    const id = await newDataset();
    await upload(id, 'img_1.png', png());
    await upload(id, 'IMG_1.txt', 'a dog');
    expect((await waitForStatus(id, 'FAILED')).error?.code).toBe('MISSING_CAPTION');
  });

  test('has the content type of its bytes; the declared one is ignored', async () => {
    const id = await newDataset();
    const disposition = 'form-data; name="file"; filename="dog.png"\r\nContent-Type: text/plain';
    expect((await uploadRaw(id, disposition, png())).body).toMatchObject({ content_type: 'image/png' });
  });

  test.each([
    ['quotes as %22', 'a %22b%22.txt', 'a "b".txt'],
    ['quotes as \\"', 'a \\"b\\".txt', 'a "b".txt'],
    ['UTF-8', '猫 é.txt', '猫 é.txt'],
    ['decomposed Unicode, stored as NFC', 'e\u0301.txt', '\u00e9.txt'],
    ['a percent sign, which begins no other escape', '100% %41.txt', '100% %41.txt'],
    ['255 bytes', `${'é'.repeat(125)}x.txt`, `${'é'.repeat(125)}x.txt`],
  ])('takes a filename with %s', async (_, sent, stored) => {
    const id = await newDataset();
    const { status, body } = await uploadRaw(id, `form-data; name="file"; filename="${sent}"`, 'a dog');
    expect([status, body]).toEqual([200, expect.objectContaining({ filename: stored })]);
    expect(await filenamesOf(id)).toEqual([stored]);
  });

  test.each([
    ['a slash', '../a.txt', 422],
    ['a backslash', 'a\\\\b.txt', 422],
    ['a leading dot', '.a.txt', 422],
    ['a control character', 'a\u0001.txt', 422],
    ['256 bytes', `${'é'.repeat(126)}.txt`, 422],
    ['no characters', '', 422],
    ['an extension that is not accepted', 'a.exe', 415],
    ['no extension', 'a', 415],
  ])('answers with an error to a filename with %s and adds nothing', async (_, filename, expected) => {
    const id = await newDataset();
    const { status } = await uploadRaw(id, `form-data; name="file"; filename="${filename}"`, 'a dog');
    expect(status).toBe(expected);
    expect(await statusOf(id)).toMatchObject({ status: 'DRAFT', files: [] });
  });

  test('answers 415 to a body that is not multipart, and 422 to a form without a file', async () => {
    const id = await newDataset();
    const json = { 'content-type': 'application/json' };
    expect((await call('POST', `/${id}/upload`, { body: '{}', headers: json })).status).toBe(415);
    const form = new FormData();
    form.append('other', 'value');
    expect((await call('POST', `/${id}/upload`, { body: form })).status).toBe(422);
    expect(await statusOf(id)).toMatchObject({ status: 'DRAFT', files: [] });
  });

  test.each([
    ['a page of HTML named .png', 'a.png', HTML],
    ['an image cut short', 'a.png', png().subarray(0, 80)],
    ['an empty image', 'a.jpg', ''],
    ['an image named .mp4', 'a.mp4', jpeg()],
  ])('answers 422 to %s; the dataset is FAILED until a good file replaces it', async (_, filename, bytes) => {
    const id = await newDataset();
    await upload(id, 'a.txt', 'a dog');
    expect((await upload(id, filename, bytes)).status).toBe(422);
    const failed = await waitForStatus(id, 'FAILED');
    expect(failed.files.map((file) => file.filename)).toEqual(['a.txt']);
    expect(failed.error).toMatchObject({ code: expect.any(String), message: expect.stringMatching(/\S/) });
    expect(failed.error?.problems.map((problem) => problem.filename)).toContain(filename);
    const good = { 'a.png': png(), 'a.jpg': jpeg(), 'a.mp4': clip() }[filename]!;
    expect((await upload(id, filename, good)).status).toBe(200);
    expect((await statusOf(id)).status).toBe('READY');
  });

  test('of an existing name replaces the file; a rejected one leaves it', async () => {
    const id = await newDataset();
    await upload(id, 'a.txt', 'a dog');
    await upload(id, 'a.png', png(1));
    const second = png(2);
    const { body } = await upload(id, 'a.png', second);
    expect((await upload(id, 'a.png', HTML)).status).toBe(422);
    const { files } = await statusOf(id);
    const stored = files.find(({ filename }) => filename === 'a.png');
    expect([files.length, stored?.size_bytes]).toEqual([2, second.length]);
    if (stored?.sha256 !== undefined) expect(stored.sha256).toBe((body as { sha256?: string }).sha256);
  });

  test(`takes exactly ${MAX_BYTES} bytes, and answers 413 to one more`, async () => {
    const id = await newDataset();
    const most = new Blob([Buffer.alloc(MAX_BYTES, 'a dog\n')]);
    const taken = await upload(id, 'most.txt', most);
    expect([taken.status, taken.body]).toEqual([200, expect.objectContaining({ size_bytes: MAX_BYTES })]);
    const { status, body } = await upload(id, 'more.txt', new Blob([most, '\n']));
    expect([status, body.error_message]).toEqual([413, expect.stringContaining('get-upload-endpoint')]);
    expect(await filenamesOf(id)).toEqual(['most.txt']);
  });
});
