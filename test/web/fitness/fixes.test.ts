import { describe, expect, test } from 'vitest';
import { readingsOf, ungarbled } from '../../../web/fitness/fixes/caption-encodings.js';
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
    const own = ['b_2.json', 'b_2.png', 'b_2.txt'];
    await soon(() => site.api.filenames(id)).toEqual(['a.png', 'a.txt', 'b.jpg', 'b.json', 'b.txt', ...own]);
    expect(await site.api.text(id, 'b_2.txt')).toBe('a signal');
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
    await dialog.getByLabel('Written in').selectOption('windows-1251');
    await dialog.getByText('cafй', { exact: true }).waitFor();
    await dialog.getByLabel('Written in').selectOption('windows-1252');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await soon(() => site.api.text(id, 'b.txt')).toBe('café');

    await page.getByRole('button', { name: 'Delete all 2' }).click();
    await page.getByRole('heading', { name: 'Fit to train', exact: true }).waitFor();
    await soon(() => site.api.filenames(id)).toEqual(['a.jpg', 'a.txt', 'b.jpg', 'b.txt']);
  });
});
