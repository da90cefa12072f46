import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import type { Api } from '../../harness/api.js';
import type { Visit } from '../../harness/browser.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { cardOf, close, filterOf, soon } from '../pairs/pairs-page.js';
import { datasetOfRole, linkDatasets, statusOf } from '../linked-datasets.js';

const menu = (page: Page, name: string) => page.getByRole('button', { name, exact: true });

describeInBrowser('the role of a dataset', (site) => {
  /** An account, so that names are free and the list shows the datasets of one test only. */
  async function newAccount(): Promise<{ api: Api; open: (path?: string) => Promise<Visit> }> {
    const api = await site.server.api(`account-${crypto.randomUUID()}`);
    return { api, open: (path = '/') => site.open(path, { token: api.token }) };
  }

  test('is chosen when it is created, and shown in the list and on its page', async () => {
    const { api, open } = await newAccount();
    const visited = await open();
    const { page } = visited;
    await menu(page, 'New dataset').first().click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name', { exact: true }).fill('railway-depth');
    await dialog.getByText('Control', { exact: true }).click();
    await dialog.getByText('an image of the same name for each target').waitFor();
    await dialog.getByRole('button', { name: 'Create' }).click();
    await page.getByRole('heading', { name: 'railway-depth' }).waitFor();
    await page.getByText('Control dataset', { exact: true }).waitFor();
    await page.getByText('No training dataset uses it yet.').waitFor();
    const [created] = (await api.list()).body.datasets;
    expect(created?.role).toBe('control');
    await datasetOfRole(api, 'railway', 'training', []);
    await page.getByRole('link', { name: 'All datasets' }).click();
    const item = (name: string) =>
      page.getByRole('listitem').filter({ has: page.getByRole('link', { name, exact: true }) });
    await item('railway-depth').getByText('Control dataset').waitFor();
    await item('railway').waitFor();
    expect(await item('railway').getByText('Training dataset').count()).toBe(0);
    await close(visited);
  });

  test('of a control or mask leaves out captions, and shows those that are there as unused', async () => {
    const { api, open } = await newAccount();
    const id = await datasetOfRole(api, 'masks', 'mask', ['a', 'b']);
    const visited = await open(`/datasets/${id}`);
    const { page } = visited;
    await cardOf(page, 'a.jpg').waitFor();
    await page.getByText('READY', { exact: true }).waitFor();
    await page.getByText('2 images ·').waitFor();
    expect(await page.getByRole('textbox').count()).toBe(0);
    expect(await page.getByText('No caption').count()).toBe(0);
    expect(await page.getByRole('link', { name: 'Captions' }).count()).toBe(0);
    await api.upload(id, 'a.txt', 'words');
    await cardOf(page, 'a.jpg').getByText('Unused caption', { exact: true }).waitFor();
    await page.getByText('1 unused caption').waitFor();
    await filterOf(page, 'Unused captions 1').click();
    await soon(() => page.getByRole('article').count()).toBe(1);
    await page.getByRole('button', { name: 'Open a.jpg' }).click();
    const viewer = page.getByRole('dialog');
    await viewer.getByText('a.txt is not used').waitFor();
    expect(await viewer.getByRole('textbox').count()).toBe(0);
    await page.goto(`${site.server.url}/datasets/${id}/captions`);
    await page.getByText('A mask dataset has no such view.').waitFor();
    await close(visited);
  });

  test('and its name are changed in its menu, and in other tabs at once', async () => {
    const { api, open } = await newAccount();
    const id = await datasetOfRole(api, 'railway', 'training', ['a']);
    await datasetOfRole(api, 'yard', 'training', []);
    const [visited, other, list] = [await open(`/datasets/${id}`), await open(`/datasets/${id}`), await open()];
    const { page } = visited;
    await other.page.getByRole('heading', { name: 'railway' }).waitFor();
    await list.page.getByRole('link', { name: 'railway', exact: true }).waitFor();

    await menu(page, 'Name and role').click();
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
    for (const shown of [page, other.page]) {
      await shown.getByRole('heading', { name: 'rails' }).waitFor();
      await shown.getByText('Mask dataset', { exact: true }).waitFor();
      await cardOf(shown, 'a.jpg').getByText('Unused caption', { exact: true }).waitFor();
    }
    await list.page.getByRole('link', { name: 'rails', exact: true }).waitFor();
    await list.page.getByText('Mask dataset', { exact: true }).waitFor();
    expect(await statusOf(api, id)).toMatchObject({ name: 'rails', role: 'mask' });
    for (const each of [visited, other, list]) await close(each);
  });

  test('is changed alone if another client has changed the name meanwhile', async () => {
    const { api, open } = await newAccount();
    const id = await datasetOfRole(api, 'railway', 'training', ['a']);
    const visited = await open(`/datasets/${id}`);
    const { page } = visited;
    await menu(page, 'Name and role').click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('Control', { exact: true }).click();
    await api.json('PATCH', `/${id}`, { name: 'rails' });
    await page.getByRole('dialog', { name: 'Name and role of rails' }).waitFor();
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.waitFor({ state: 'detached' });
    expect(await statusOf(api, id)).toMatchObject({ name: 'rails', role: 'control' });
    await close(visited);
  });

  test('that a link needs is not changed, with the reason', async () => {
    const { api, open } = await newAccount();
    const target = await datasetOfRole(api, 'railway', 'training', ['a']);
    const control = await datasetOfRole(api, 'railway-depth', 'control', ['a']);
    await linkDatasets(api, target, { control_1: 'railway-depth' });
    const visited = await open(`/datasets/${control}`);
    const { page } = visited;
    await menu(page, 'Name and role').click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('Mask', { exact: true }).click();
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.getByRole('alert').getByText('railway').waitFor();
    expect((await statusOf(api, control)).role).toBe('control');
    await close(visited);
  });

  test('can not be changed by a token that only reads', async () => {
    const { api } = await newAccount();
    const id = await datasetOfRole(api, 'railway', 'training', ['a']);
    const { secret } = (await api.json<{ secret: string }>('POST', '/tokens', { read_only: true })).body;
    const visited = await site.open(`/datasets/${id}`, { token: secret });
    await soon(() => menu(visited.page, 'Name and role').isDisabled()).toBe(true);
    await menu(visited.page, 'Controls and mask').click();
    await soon(() => visited.page.getByLabel('Mask', { exact: true }).isDisabled()).toBe(true);
    await close(visited);
  });
});
