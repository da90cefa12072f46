import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import type { Api } from '../../harness/api.js';
import type { Visit } from '../../harness/browser.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { cardOf, close, filterOf, soon } from '../pairs/pairs-page.js';
import { datasetOfRole } from './linked-datasets.js';

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
});
