import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import type { Api } from '../../harness/api.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { datasetOfRole, linkDatasets } from '../linked-datasets.js';
import { cardOf, chooseMore, soon } from '../pairs/pairs-page.js';

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

describeInBrowser('the role of a dataset', (site) => {
  test('and its name are changed in its menu, and in other tabs at once, and what others changed stays', async () => {
    const { api, open } = await site.newAccount();
    const id = await datasetOfRole(api, 'railway', 'training', ['a']);
    await datasetOfRole(api, 'yard', 'training', []);
    const [{ page }, list] = [await open(`/datasets/${id}`), await open()];
    await list.page.getByRole('link', { name: 'railway', exact: true }).waitFor();
    await chooseMore(page, 'Name and role');
    const dialog = page.getByRole('dialog');
    const name = dialog.getByLabel('Name', { exact: true });
    await name.fill('a/b');
    await dialog.getByText('contains "/"').waitFor();
    await name.fill('yard');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.getByText('A dataset named "yard" already exists').waitFor();
    await name.fill('rails');
    await dialog.getByText('Mask', { exact: true }).click();
    await dialog.getByText('will not be used').waitFor();
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.waitFor({ state: 'detached' });
    await page.getByRole('heading', { name: 'rails' }).waitFor();
    await cardOf(page, 'a.jpg').getByText('Unused caption', { exact: true }).waitFor();
    await list.page.getByRole('link', { name: 'rails', exact: true }).waitFor();
    await list.page.getByText('Mask dataset', { exact: true }).waitFor();
    expect((await api.status(id)).body).toMatchObject({ name: 'rails', role: 'mask' });

    await chooseMore(page, 'Name and role');
    await dialog.getByText('Control', { exact: true }).click();
    await api.json('PATCH', `/${id}`, { name: 'tracks' });
    await page.getByRole('dialog', { name: 'Name and role of tracks' }).waitFor();
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.waitFor({ state: 'detached' });
    expect((await api.status(id)).body).toMatchObject({ name: 'tracks', role: 'control' });
  });
});

describeInBrowser('the links of a dataset', (site) => {
  const linksOf = async (api: Api, id: string) => {
    const { links = {} } = (await api.status(id)).body;
    return Object.fromEntries(Object.entries(links).map(([slot, state]) => [slot, state?.name]));
  };

  test('are chosen among datasets of the fitting role, and changed and removed', async () => {
    const { api, open } = await site.newAccount();
    const id = await datasetOfRole(api, 'railway', 'training', ['a', 'b']);
    for (const name of ['depth', 'edges']) await datasetOfRole(api, name, 'control', ['a', 'b']);
    await datasetOfRole(api, 'masks', 'mask', ['a', 'b']);
    const { page } = await open(`/datasets/${id}`);
    const dialog = page.getByRole('dialog');
    const edit = () => chooseMore(page, 'Controls and mask');
    const save = async () => {
      await dialog.getByRole('button', { name: 'Save' }).click();
      await dialog.waitFor({ state: 'detached' });
    };
    const optionsOf = (label: string) => dialog.getByLabel(label, { exact: true }).locator('option').allTextContents();

    await edit();
    await soon(() => optionsOf('Control')).toEqual(['None', 'depth', 'edges']);
    expect(await optionsOf('Mask')).toEqual(['None', 'masks']);
    await dialog.getByLabel('Control', { exact: true }).selectOption({ label: 'edges' });
    await soon(() => optionsOf('Control 2')).toEqual(['None', 'depth']);
    await dialog.getByLabel('Control 2', { exact: true }).selectOption({ label: 'depth' });
    await dialog.getByLabel('Mask', { exact: true }).selectOption({ label: 'masks' });
    await save();
    expect(await linksOf(api, id)).toEqual({ control_1: 'edges', control_2: 'depth', mask: 'masks' });
    const line = page.getByRole('list', { name: 'Controls and mask', exact: true });
    await line.getByText('Control 2: depth').waitFor();

    // The control behind a removed one moves up.
    await edit();
    await dialog.getByText('Each target has its control 1.').waitFor();
    await dialog.getByLabel('Control 1', { exact: true }).selectOption({ label: 'None' });
    await save();
    expect(await linksOf(api, id)).toEqual({ control_1: 'depth', mask: 'masks' });
    await line.getByText('Control: depth').waitFor();
    await line.getByRole('link', { name: 'depth' }).click();
    await page.getByText('Used by railway').waitFor();
    await page.getByRole('link', { name: 'railway', exact: true }).click();

    // What another client links meanwhile stays.
    await edit();
    const [control] = (await api.list()).body.datasets.filter(({ name }) => name === 'edges');
    await linkDatasets(api, id, { control_1: control!.id });
    await soon(() => dialog.getByLabel('Control', { exact: true }).inputValue()).toBe(control!.id);
    await dialog.getByLabel('Mask', { exact: true }).selectOption({ label: 'masks' });
    await save();
    expect(await linksOf(api, id)).toEqual({ control_1: 'edges', mask: 'masks' });

    await edit();
    await dialog.getByRole('button', { name: 'Remove all links' }).click();
    await dialog.waitFor({ state: 'detached' });
    await line.waitFor({ state: 'detached' });
    expect(await linksOf(api, id)).toEqual({});
  });

  test('to a training dataset change its role, and say what is missing until it has arrived', async () => {
    const { api, open } = await site.newAccount();
    const id = await datasetOfRole(api, 'railway', 'training', ['a', 'b', 'c']);
    const control = await datasetOfRole(api, 'depth', 'training', ['a', 'b', 'x']);
    const { page } = await open(`/datasets/${id}`);
    await chooseMore(page, 'Controls and mask');
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Control', { exact: true }).selectOption({ label: 'depth' });
    await dialog.getByText('depth is a training dataset.').waitFor();
    await dialog.getByText('its captions (3) are not used').waitFor();
    await soon(() => dialog.getByRole('button', { name: 'Save' }).isDisabled()).toBe(true);
    await dialog.getByRole('button', { name: 'Make it a control dataset' }).click();
    await dialog.getByText('depth is a training dataset.').waitFor({ state: 'detached' });
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.waitFor({ state: 'detached' });
    expect(await linksOf(api, id)).toEqual({ control_1: 'depth' });
    expect((await api.status(control)).body.role).toBe('control');

    await page.getByText('FAILED', { exact: true }).waitFor();
    await chooseMore(page, 'Controls and mask');
    await dialog.getByText('No control for 1 target: c.').waitFor();
    await dialog.getByText('No target for 1 file: x.').waitFor();
    await api.upload(control, 'c.jpg', await media.jpeg());
    await dialog.getByText('No control for 1 target: c.').waitFor({ state: 'detached' });
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await page.getByText('READY', { exact: true }).waitFor();
  });

  test('protect a control from deletion, which names who uses it', async () => {
    const { api, open } = await site.newAccount();
    const id = await datasetOfRole(api, 'railway', 'training', ['a']);
    const control = await datasetOfRole(api, 'depth', 'control', ['a']);
    const { page } = await open();
    await page.getByRole('button', { name: 'More for depth' }).click();
    await page.getByRole('button', { name: 'Delete', exact: true }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Type the name to confirm').fill('depth');
    // Linked meanwhile: the service has the last word.
    await linkDatasets(api, id, { control_1: control });
    await dialog.getByRole('button', { name: 'Delete permanently' }).click();
    await dialog.getByText('railway').waitFor();
    await dialog.getByRole('button', { name: /Close|Cancel/ }).click();
    // It stands on the card of its target now.
    await page.getByRole('list', { name: 'Controls and mask' }).getByRole('link', { name: 'depth' }).click();
    await chooseMore(page, 'Delete the dataset');
    await page.getByRole('dialog', { name: 'This dataset is used' }).getByText('railway').waitFor();
    await soon(() => dialog.getByLabel('Type the name to confirm').count()).toBe(0);
    expect((await api.status(control)).status).toBe(200);
  });
});
