import { readFile } from 'node:fs/promises';
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import type { Api } from '../../harness/api.js';
import type { Visit } from '../../harness/browser.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { revokeToken } from '../../harness/server.js';

/** The card of a dataset. */
const card = (page: Page, name: string) =>
  page.getByRole('listitem').filter({ has: page.getByRole('link', { name, exact: true }) });

const namesShown = (page: Page) => page.getByRole('list', { name: 'Datasets' }).getByRole('heading').allTextContents();

describeInBrowser('the page of all datasets', (site) => {
  /** Creates an account, so that the list shows the datasets of one test only. */
  async function newAccount(): Promise<{ api: Api; open: (path?: string) => Promise<Visit> }> {
    const api = await site.server.api(`account-${crypto.randomUUID()}`);
    return { api, open: (path = '/') => site.open(path, { token: api.token }) };
  }

  async function uploadPair(api: Api, id: string, stem: string): Promise<void> {
    await api.upload(id, `${stem}.jpg`, await media.jpeg());
    await api.upload(id, `${stem}.txt`, 'a caption');
  }

  test('shows contents, size, first images and errors of each dataset', async () => {
    const { api, open } = await newAccount();
    const good = await api.newDataset('good');
    await uploadPair(api, good, 'a');
    await api.upload(good, 'clip.mp4', media.clip('faststart.mp4'));
    await api.upload(good, 'clip.txt', 'a clip');
    const bad = await api.newDataset('bad');
    await api.upload(bad, 'lonely.jpg', await media.jpeg());
    await api.newDataset('empty');
    const { page, browserErrors } = await open();

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
    expect(await picture.getAttribute('src')).not.toContain(api.token);

    await page.getByRole('link', { name: 'good' }).click();
    await page.getByRole('heading', { name: 'good' }).waitFor();
    expect(browserErrors).toEqual([]);
  });

  test('searches, filters by status and sorts, and keeps these settings in the URL', async () => {
    const { api, open } = await newAccount();
    await uploadPair(api, await api.newDataset('cats 10'), 'a');
    for (const name of ['cats 9', 'Éclair']) await api.newDataset(name);
    const { page, browserErrors } = await open();
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
    expect(browserErrors).toEqual([]);
  });

  test('creates a dataset, and explains an invalid name before it is sent', async () => {
    const { api, open } = await newAccount();
    await api.newDataset('taken');
    const { page, browserErrors } = await open();
    await page.getByRole('button', { name: 'New dataset' }).first().click();
    const name = page.getByLabel('Name', { exact: true });
    const create = page.getByRole('button', { name: 'Create' });
    await name.fill('taken');
    await page.getByText('A dataset named "taken" already exists').waitFor();
    expect(await create.isDisabled()).toBe(true);
    await name.fill('a/b');
    await page.getByRole('alert').getByText('contains "/"').waitFor();
    await name.fill('fresh');
    await name.press('Enter');
    await page.getByRole('heading', { name: 'fresh' }).waitFor();
    expect((await api.list()).body.datasets.map((dataset) => dataset.name)).toEqual(['fresh', 'taken']);
    expect(browserErrors).toEqual([]);
  });

  test('deletes a dataset only after its name is typed', async () => {
    const { api, open } = await newAccount();
    const id = await api.newDataset('to go');
    await api.newDataset('to stay');
    const { page, browserErrors } = await open();
    await page.getByRole('button', { name: 'Delete to go' }).click();
    const submit = page.getByRole('button', { name: 'Delete permanently' });
    await page.getByLabel('Type the name to confirm').fill('to g');
    expect(await submit.isDisabled()).toBe(true);
    await page.keyboard.press('Enter');
    expect((await api.status(id)).status).toBe(200);
    await page.getByLabel('Type the name to confirm').fill('to go');
    await submit.click();
    await expect.poll(() => namesShown(page)).toEqual(['to stay']);
    expect((await api.status(id)).status).toBe(404);
    expect(browserErrors).toEqual([]);
  });

  test('downloads a dataset as a zip archive, and deletes it from its own page', async () => {
    const { api, open } = await newAccount();
    const id = await api.newDataset('whole');
    await uploadPair(api, id, 'a');
    const { page, browserErrors } = await open(`/datasets/${id}`);
    const download = page.waitForEvent('download');
    await page.getByRole('link', { name: 'Download' }).click();
    expect((await download).suggestedFilename()).toBe('whole.zip');
    expect((await download).url()).not.toContain(api.token);
    const names = (await readFile(await (await download).path(), 'latin1')).match(/a\.(jpg|txt)/g);
    expect(new Set(names)).toEqual(new Set(['a.jpg', 'a.txt']));
    await page.getByRole('button', { name: 'Delete the dataset' }).click();
    await page.getByLabel('Type the name to confirm').fill('whole');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'No datasets yet' }).waitFor();
    expect((await api.status(id)).status).toBe(404);
    expect(browserErrors).toEqual([]);
  });

  test('shows first steps to an account without datasets', async () => {
    const { open } = await newAccount();
    const { page } = await open();
    await page.getByRole('heading', { name: 'No datasets yet' }).waitFor();
    await page.getByText(`npx --yes ${site.server.url}/cli.tgz login ${site.server.url}`).waitFor();
  });

  test('shows changes of other clients without a reload', async () => {
    const { api, open } = await newAccount();
    const { page, browserErrors } = await open();
    await page.getByRole('heading', { name: 'No datasets yet' }).waitFor();
    const id = await api.newDataset('by someone else');
    await card(page, 'by someone else').getByText('DRAFT').waitFor();
    await uploadPair(api, id, 'a');
    await card(page, 'by someone else').getByText('READY').waitFor();
    await api.raw('DELETE', `/${id}`);
    await page.getByRole('heading', { name: 'No datasets yet' }).waitFor();
    expect(browserErrors).toEqual([]);
  });

  test('polls if the stream of events is not available', async () => {
    const { api, open } = await newAccount();
    const { page, context } = await open();
    await page.getByRole('heading', { name: 'No datasets yet' }).waitFor();
    // As with a proxy that blocks streams, or with an older service.
    await context.route('**/events', (route) => route.abort());
    await page.reload();
    await page.getByRole('heading', { name: 'No datasets yet' }).waitFor();
    await api.newDataset('unannounced');
    await card(page, 'unannounced').waitFor();
  });

  test('shows that the service is unreachable, and continues when it is back', async () => {
    const { api, open } = await newAccount();
    await api.newDataset('dogs');
    const { page, context } = await open();
    await card(page, 'dogs').waitFor();
    await context.setOffline(true);
    await page.getByRole('link', { name: 'dogs' }).click();
    await page.getByRole('alert').getByText('Could not reach the service').waitFor();
    await context.setOffline(false);
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByRole('heading', { name: 'dogs' }).waitFor();
  });

  test('asks for another token if the token was revoked', async () => {
    const { api, open } = await newAccount();
    await api.newDataset('dogs');
    const { page } = await open();
    await card(page, 'dogs').waitFor();
    await revokeToken(site.server, api.token);
    await page.reload();
    await page.getByLabel('Token').waitFor();
    await page.getByRole('alert').getByText(/token/i).waitFor();
  });

  test('renders only some of a thousand cards at any scroll position', async () => {
    const { api, open } = await newAccount();
    const COUNT = 1000;
    for (let from = 0; from < COUNT; from += 50) {
      await Promise.all(Array.from({ length: 50 }, (_, index) => api.newDataset(`dataset ${from + index}`)));
    }
    const { page, browserErrors } = await open('/?sort=name');
    await card(page, 'dataset 0').waitFor();
    expect(await page.getByRole('list', { name: 'Datasets' }).locator('> li').count()).toBeLessThan(80);
    await page.keyboard.press('End');
    await card(page, `dataset ${COUNT - 1}`).waitFor();
    expect(browserErrors).toEqual([]);
  });

  test('on a phone, the actions of a dataset are one row', async () => {
    const id = await site.api.newDataset('wide wagons');
    await site.api.upload(id, 'one.txt', 'a wagon');
    const { page, browserErrors } = await site.open(`/datasets/${id}`, { width: 360, height: 640 });
    const actions = ['Add files', 'Add a folder', 'Controls and mask', 'Name and role', 'Share the dataset'];
    const tops = new Set<number | undefined>();
    for (const name of [...actions, 'Delete the dataset']) {
      tops.add((await page.getByRole('button', { name, exact: true }).boundingBox())?.y);
    }
    tops.add((await page.getByRole('link', { name: 'Download' }).boundingBox())?.y);
    expect(tops.size).toBe(1);
    expect(browserErrors).toEqual([]);
  });
});
