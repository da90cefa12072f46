import { afterAll, describe, expect, test } from 'vitest';
import { png } from './files.js';
import { links, newDataset, put, removeDatasets, statusOf, upload, waitForStatus } from './service.js';

afterAll(removeDatasets);

describe('the status', () => {
  test('is never READY without the file that was uploaded last', async () => {
    const id = await newDataset();
    for (let pair = 1; pair <= 3; pair++) {
      await upload(id, `${pair}.png`, png(pair));
      expect(await statusOf(id)).toMatchObject({ status: 'UPLOADING', files: { length: 2 * pair - 1 } });
      await upload(id, `${pair}.txt`, 'a dog');
      expect(await statusOf(id)).toMatchObject({ status: 'READY', files: { length: 2 * pair } });
    }
  });

  test('of an image without a caption becomes FAILED with MISSING_CAPTION, and READY with the caption', async () => {
    const id = await newDataset();
    await upload(id, 'dog.png', png());
    const { error, files } = await waitForStatus(id, 'FAILED');
    expect(error).toMatchObject({ code: 'MISSING_CAPTION', message: expect.stringMatching(/\S/) });
    expect(error?.problems).toContainEqual(
      expect.objectContaining({ code: 'MISSING_CAPTION', filename: 'dog.png', message: expect.stringMatching(/\S/) }),
    );
    expect(files.map(({ filename }) => filename)).toEqual(['dog.png']);
    await upload(id, 'dog.txt', 'a dog');
    const ready = await statusOf(id);
    expect([ready.status, ready.files.length]).toEqual(['READY', 2]);
  });

  test('with `wait` is returned when it is READY or FAILED or has changed', async () => {
    const id = await newDataset();
    expect((await statusOf(id, '?wait=1')).status).toBe('DRAFT');
    const { body } = await links(id, { 'a.txt': 5 });
    const waiting = statusOf(id, '?wait=60');
    await put(body.uploads['a.txt']!, 'a dog');
    // A caption without media is FAILED, after the grace period.
    expect((await waiting).status).toBe('FAILED');
  });
});
