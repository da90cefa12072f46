import { expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import type { Api } from '../../harness/api.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { cardOf, chooseMore, soon } from '../pairs/pairs-page.js';
import { datasetOfRole, linkDatasets } from '../linked-datasets.js';

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
