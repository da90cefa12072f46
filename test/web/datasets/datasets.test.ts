import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import type { Api } from '../../harness/api.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { chooseMore } from '../pairs/pairs-page.js';

/** The card of a dataset. */
const card = (page: Page, name: string) =>
  page.getByRole('listitem').filter({ has: page.getByRole('link', { name, exact: true }) });

const namesShown = (page: Page) => page.getByRole('list', { name: 'Datasets' }).getByRole('heading').allTextContents();

describeInBrowser('the page of all datasets', (site) => {
  async function uploadPair(api: Api, id: string, stem: string): Promise<void> {
    await api.upload(id, `${stem}.jpg`, await media.jpeg());
    await api.upload(id, `${stem}.txt`, 'a caption');
  }

  test('shows contents, size, first images and errors of each dataset', async () => {
    const { api, open } = await site.newAccount();
    const good = await api.newDataset('good');
    await uploadPair(api, good, 'a');
    await api.upload(good, 'clip.mp4', media.clip('faststart.mp4'));
    await api.upload(good, 'clip.txt', 'a clip');
    const bad = await api.newDataset('bad');
    await api.upload(bad, 'lonely.jpg', await media.jpeg());
    await api.newDataset('empty');
    const { page } = await open();

    await card(page, 'good').getByText('READY').waitFor();
    await card(page, 'good').getByText('1 image · 1 clip · 2 captions').waitFor();
    await card(page, 'good').getByText(/\d kB/).waitFor();
    await card(page, 'bad').getByText('FAILED').waitFor();
    const { error } = (await api.list()).body.datasets.find(({ name }) => name === 'bad') ?? {};
    await card(page, 'bad')
      .getByText(error?.message ?? 'no error')
      .waitFor();
    await card(page, 'empty').getByText('No files yet').waitFor();
    const picture = card(page, 'good').locator('img');
    await expect.poll(() => picture.evaluate((image: HTMLImageElement) => image.naturalWidth)).toBeGreaterThan(0);
    await expect.poll(() => picture.getAttribute('src')).not.toContain(api.token);
  });

  test('an account without datasets can try the example, which ends READY', async () => {
    const { api, open } = await site.newAccount();
    const { page } = await open();
    await page.getByRole('button', { name: 'Try the example' }).click();
    await page.getByRole('heading', { name: 'railway' }).waitFor();
    // It may be READY in between too.
    await expect
      .poll(async () => (await api.list()).body.datasets[0])
      .toMatchObject({ name: 'railway', status: 'READY', counts: { images: 12, videos: 1, captions: 13 } });
    await page.getByText('READY').first().waitFor();
  });

  test('searches, filters by status and sorts, and keeps these settings in the URL', async () => {
    const { api, open } = await site.newAccount();
    await uploadPair(api, await api.newDataset('cats 10'), 'a');
    for (const name of ['cats 9', 'Éclair']) await api.newDataset(name);
    const { page } = await open();
    await card(page, 'Éclair').waitFor();
    expect(await namesShown(page)).toEqual(['Éclair', 'cats 9', 'cats 10']);

    await page.getByLabel('Sort').selectOption({ label: 'Name' });
    await expect.poll(() => namesShown(page)).toEqual(['cats 9', 'cats 10', 'Éclair']);
    await page.keyboard.press('/');
    await page.keyboard.type('CAT');
    await expect.poll(() => namesShown(page)).toEqual(['cats 9', 'cats 10']);
    await page.getByRole('button', { name: 'Ready 1' }).click();
    await expect.poll(() => namesShown(page)).toEqual(['cats 10']);
    await page.reload();
    await expect.poll(() => namesShown(page)).toEqual(['cats 10']);
    await page.getByRole('searchbox').fill('dogs');
    await page.getByText('No dataset matches').waitFor();
    await page.getByRole('button', { name: 'Show all' }).click();
    await expect.poll(() => namesShown(page)).toHaveLength(3);
  });

  test('creates a dataset of a role, and explains an invalid name before it is sent', async () => {
    const { api, open } = await site.newAccount();
    await api.newDataset('taken');
    const { page } = await open();
    await page.getByRole('button', { name: 'New dataset' }).first().click();
    const name = page.getByLabel('Name', { exact: true });
    const create = page.getByRole('button', { name: 'Create' });
    await name.fill('taken');
    await page.getByText('A dataset named "taken" already exists').waitFor();
    await expect.poll(() => create.isDisabled()).toBe(true);
    await name.fill('a/b');
    await page.getByRole('alert').getByText('contains "/"').waitFor();
    await name.fill('fresh');
    await page.getByRole('dialog').getByText('Control', { exact: true }).click();
    await name.press('Enter');
    await page.getByRole('heading', { name: 'fresh' }).waitFor();
    await page.getByText('No training dataset uses it yet.').waitFor();
    const { datasets } = (await api.list()).body;
    expect(datasets.map(({ name, role }) => [name, role])).toEqual([
      ['fresh', 'control'],
      ['taken', 'training'],
    ]);
    await page.getByRole('link', { name: 'All datasets' }).click();
    await card(page, 'fresh').getByText('Control dataset').waitFor();
  });

  test('downloads a dataset as a zip archive, and deletes it only after its name is typed', async () => {
    const { api, open } = await site.newAccount();
    const id = await api.newDataset('whole');
    await uploadPair(api, id, 'a');
    const { page } = await open(`/datasets/${id}`);
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Download' }).click();
    await page.getByRole('link', { name: 'All files' }).click();
    expect((await download).suggestedFilename()).toBe('whole.zip');
    expect((await download).url()).not.toContain(api.token);

    await chooseMore(page, 'Delete the dataset');
    await page.getByLabel('Type the name to confirm').fill('whol');
    await expect.poll(() => page.getByRole('button', { name: 'Delete permanently' }).isDisabled()).toBe(true);
    await page.keyboard.press('Enter');
    expect((await api.status(id)).status).toBe(200);
    await page.getByLabel('Type the name to confirm').fill('whole');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'No datasets yet' }).waitFor();
    expect((await api.status(id)).status).toBe(404);
  });
});
