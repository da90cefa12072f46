import { describe, expect, test } from 'vitest';
import type { DatasetFile } from '../../../src/client/client.js';
import { readingsOf, ungarbled } from '../../../web/fitness/fixes/caption-encodings.js';
import { renamesFor } from '../../../web/fitness/fixes/renames.js';
import * as media from '../../fixtures/media.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { datasetWith } from '../linked-datasets.js';
import { soon } from '../pairs/pairs-page.js';

describe('the rules of fixes', () => {
  test('captions read in the encodings in which they are valid, the likely one first', () => {
    const first = (bytes: Buffer) => readingsOf(bytes)[0];
    expect(first(media.captionBytes('café', 'windows-1252'))).toEqual({ encoding: 'windows-1252', text: 'café' });
    expect(first(media.captionBytes('café', 'utf16'))).toEqual({ encoding: 'utf-16le', text: 'café' });
    expect(first(media.captionBytes('café', 'utf16-bare'))).toEqual({ encoding: 'utf-16le', text: 'café' });
    expect(first(media.captionBytes('café', 'utf8-bom'))).toEqual({ encoding: 'utf-8', text: 'café' });
    expect(readingsOf(Buffer.from([0x83, 0x4c, 0x83, 0x43])).map(({ text }) => text)).toContain('キイ');
  });

  test('garbled text is read as it was meant, and other text is left', () => {
    expect(ungarbled('cafÃ©')).toBe('café');
    expect(ungarbled('café')).toBeUndefined();
    expect(ungarbled('a wagon')).toBeUndefined();
    expect(ungarbled('猫')).toBeUndefined();
  });

  test('pictures that share a caption get names of their own that are free', () => {
    const files = new Map(
      ['a.jpg', 'a.png', 'a.webp', 'a.txt', 'a.json', 'A_2.jpg'].map((filename) => {
        const kind = /txt|json/.test(filename) ? 'caption' : 'image';
        return [filename, { filename, kind, etag: filename } as DatasetFile];
      }),
    );
    const renames = renamesFor({ code: 'SHARED_STEM', filename: 'a.jpg', message: '' }, files);
    expect(renames.map(({ filename, to }) => `${filename} ${to}`)).toEqual([
      'a.txt a_3.txt',
      'a.json a_3.json',
      'a.png a_3.png',
      'a.txt a_4.txt',
      'a.json a_4.json',
      'a.webp a_4.webp',
    ]);
  });
});

describeInBrowser('problems', (site) => {
  const open = async (files: Record<string, Buffer | string>) => {
    const id = await datasetWith(site.api, files);
    const { page } = await site.open(`/datasets/${id}/fitness`);
    return { id, page };
  };

  test('of names are solved where they are shown, and that can be undone', async () => {
    const before = {
      'a.jpg': await media.png(),
      'a.txt': 'a wagon',
      'b.jpg': await media.jpeg({ seed: 1 }),
      'b.png': await media.png({ seed: 2 }),
      'b.txt': 'a signal',
      'b.json': '{"a": "signal"}',
    };
    const { id, page } = await open(before);
    await page.getByRole('button', { name: 'Rename to a.png' }).click();
    await soon(() => site.api.filenames(id)).toContain('a.png');
    await soon(() => site.api.filenames(id)).not.toContain('a.jpg');
    await page.getByText('Wrong extension').waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Give each its own caption' }).click();
    await soon(() => site.api.filenames(id)).toEqual([
      'a.png',
      'a.txt',
      'b.jpg',
      'b.json',
      'b.txt',
      'b_2.json',
      'b_2.png',
      'b_2.txt',
    ]);
    expect(await site.api.text(id, 'b_2.txt')).toBe('a signal');
    expect(await site.api.text(id, 'b_2.json')).toBe('{"a": "signal"}');
    await page.getByText('Files that share a caption').waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Undo' }).click();
    await soon(() => site.api.filenames(id)).toEqual(['a.png', 'a.txt', 'b.jpg', 'b.json', 'b.png', 'b.txt']);
  });

  test('of captions are solved where they are shown: encodings after a look at the text, and orphans', async () => {
    const { id, page } = await open({
      'a.jpg': await media.jpeg(),
      'a.txt': 'cafÃ© â€œat duskâ€\u009d',
      'b.jpg': await media.jpeg({ seed: 1 }),
      'b.txt': media.captionBytes('café', 'windows-1252'),
      'x.txt': 'one',
      'y.txt': 'two',
    });
    await page.getByRole('button', { name: 'Convert a.txt' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('café “at dusk”').waitFor();
    await dialog.getByRole('button', { name: 'Save' }).click();
    await soon(() => site.api.text(id, 'a.txt')).toBe('café “at dusk”');
    await page.getByText('a.txt saved as UTF-8.').waitFor();

    const choosing = page.waitForEvent('filechooser');
    await page.getByRole('button', { name: 'Convert … the original of b.txt' }).click();
    const original = { name: 'b.txt', mimeType: '', buffer: media.captionBytes('café', 'windows-1252') };
    await (await choosing).setFiles([original]);
    await dialog.getByText('café', { exact: true }).waitFor();
    await dialog.getByLabel('Written in').selectOption('windows-1251');
    await dialog.getByText('cafй', { exact: true }).waitFor();
    await dialog.getByLabel('Written in').selectOption('windows-1252');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await soon(() => site.api.text(id, 'b.txt')).toBe('café');

    await page.getByRole('button', { name: 'Delete all 2' }).click();
    await page.getByRole('heading', { name: 'Fit to train', exact: true }).waitFor();
    await soon(() => site.api.filenames(id)).toEqual(['a.jpg', 'a.txt', 'b.jpg', 'b.txt']);
  });

  test('that keep no dataset from training are named by the verdict, and lead to their pairs', {
    tags: ['long'],
  }, async () => {
    const tiny = await media.jpeg({ width: 96, height: 96 });
    const { page } = await open({ 'a.jpg': tiny, 'a.txt': 'a wagon', 'b.jpg': tiny, 'b.txt': ' ' });
    const verdict = page.getByRole('region', { name: 'Verdict' });
    await verdict.getByText('Worth a look:').waitFor();
    await soon(() => verdict.getByRole('link').allTextContents()).toEqual(['2 copies', '2 tiny', '1 blank caption']);
    await verdict.getByRole('link', { name: '2 copies' }).click();
    await page.getByText('2 pairs', { exact: true }).waitFor();
  });
});
