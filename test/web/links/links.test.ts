import { expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import type { Api } from '../../harness/api.js';
import type { Visit } from '../../harness/browser.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { close, soon } from '../pairs/pairs-page.js';
import { datasetOfRole, linkDatasets, statusOf } from '../linked-datasets.js';

describeInBrowser('the links of a dataset', (site) => {
  async function newAccount(): Promise<{ api: Api; open: (path?: string) => Promise<Visit> }> {
    const api = await site.server.api(`account-${crypto.randomUUID()}`);
    return { api, open: (path = '/') => site.open(path, { token: api.token }) };
  }

  const linksOf = async (api: Api, id: string) => {
    const { links = {} } = await statusOf(api, id);
    return Object.fromEntries(Object.entries(links).map(([slot, state]) => [slot, state?.name]));
  };

  test('are chosen among datasets of the fitting role, and changed and removed', async () => {
    const { api, open } = await newAccount();
    const id = await datasetOfRole(api, 'railway', 'training', ['a', 'b']);
    for (const name of ['depth', 'edges']) await datasetOfRole(api, name, 'control', ['a', 'b']);
    await datasetOfRole(api, 'masks', 'mask', ['a', 'b']);
    const visited = await open(`/datasets/${id}`);
    const { page } = visited;
    const dialog = page.getByRole('dialog');
    const edit = () => page.getByRole('button', { name: 'Controls and mask', exact: true }).click();
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
    await close(visited);
  });

  test('to a training dataset change its role, after a warning', async () => {
    const { api, open } = await newAccount();
    const id = await datasetOfRole(api, 'railway', 'training', ['a']);
    const control = await datasetOfRole(api, 'depth', 'training', ['a']);
    const visited = await open(`/datasets/${id}`);
    const { page } = visited;
    await page.getByRole('button', { name: 'Controls and mask', exact: true }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Control', { exact: true }).selectOption({ label: 'depth' });
    await dialog.getByText('depth is a training dataset.').waitFor();
    await dialog.getByText('its captions (1) are not used').waitFor();
    expect(await dialog.getByRole('button', { name: 'Save' }).isDisabled()).toBe(true);
    await dialog.getByRole('button', { name: 'Make it a control dataset' }).click();
    await dialog.getByText('depth is a training dataset.').waitFor({ state: 'detached' });
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.waitFor({ state: 'detached' });
    expect(await linksOf(api, id)).toEqual({ control_1: 'depth' });
    expect((await statusOf(api, control)).role).toBe('control');
    await close(visited);
  });

  test('say what is missing, and the dataset is READY when it has arrived', async () => {
    const { api, open } = await newAccount();
    const id = await datasetOfRole(api, 'railway', 'training', ['a', 'b', 'c']);
    const control = await datasetOfRole(api, 'depth', 'control', ['a', 'b', 'x']);
    await linkDatasets(api, id, { control_1: control });
    const visited = await open(`/datasets/${id}`);
    const { page } = visited;
    await page.getByText('FAILED', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Controls and mask', exact: true }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('No control for 1 target: c.').waitFor();
    await dialog.getByText('No target for 1 file: x.').waitFor();
    await api.upload(control, 'c.jpg', await media.jpeg());
    await dialog.getByText('No control for 1 target: c.').waitFor({ state: 'detached' });
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    await page.getByText('READY', { exact: true }).waitFor();
    await close(visited);
  });

  test('protect a control from deletion, which names who uses it', async () => {
    const { api, open } = await newAccount();
    const id = await datasetOfRole(api, 'railway', 'training', ['a']);
    const control = await datasetOfRole(api, 'depth', 'control', ['a']);
    const visited = await open();
    const { page } = visited;
    await page.getByRole('button', { name: 'Delete depth' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Type the name to confirm').fill('depth');
    // Linked meanwhile: the service has the last word.
    await linkDatasets(api, id, { control_1: control });
    await dialog.getByRole('button', { name: 'Delete permanently' }).click();
    await dialog.getByText('railway').waitFor();
    await dialog.getByRole('button', { name: /Close|Cancel/ }).click();
    await page.getByRole('button', { name: 'Delete depth' }).click();
    await page.getByRole('dialog', { name: 'This dataset is used' }).getByText('railway').waitFor();
    expect(await dialog.getByLabel('Type the name to confirm').count()).toBe(0);
    await dialog.getByRole('link', { name: 'railway' }).click();
    await page.getByRole('heading', { name: 'railway' }).waitFor();
    expect((await api.status(control)).status).toBe(200);
    await close(visited);
  });

  test('that could not be saved stay chosen, with the reason', async () => {
    const { api, open } = await newAccount();
    const id = await datasetOfRole(api, 'railway', 'training', ['a']);
    await datasetOfRole(api, 'depth', 'control', ['a']);
    const visited = await open(`/datasets/${id}`);
    const { page, context } = visited;
    await page.getByRole('button', { name: 'Controls and mask', exact: true }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Control', { exact: true }).selectOption({ label: 'depth' });
    await context.setOffline(true);
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.getByRole('alert').getByText('Could not reach the service').waitFor();
    await context.setOffline(false);
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.waitFor({ state: 'detached' });
    expect(await linksOf(api, id)).toEqual({ control_1: 'depth' });
    await close(visited);
  });
});
