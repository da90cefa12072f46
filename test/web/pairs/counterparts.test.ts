import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { datasetOfRole, linkDatasets } from '../linked-datasets.js';
import { cardOf, close, filterOf, focusedOf, isPainted, namesOf, pictureOf, soon } from './pairs-page.js';

/** The small picture of a card. */
const smallOf = (page: Page, name: string, label: string) =>
  cardOf(page, name).getByRole('button', { name: `Compare with the ${label}`, exact: true });

describeInBrowser('the controls and the mask of a pair', (site) => {
  const named = (word: string) => `${word}-${crypto.randomUUID()}`;

  test('are small pictures beside the target, and come and go with their files', async () => {
    const { api } = site;
    const id = await datasetOfRole(api, named('railway'), 'training', ['a', 'b']);
    const depth = await datasetOfRole(api, named('depth'), 'control', ['a', 'b']);
    const masks = await datasetOfRole(api, named('masks'), 'mask', ['a']);
    await linkDatasets(api, id, { control_1: depth, mask: masks });
    const visited = await site.open(`/datasets/${id}`);
    const { page } = visited;
    await soon(() => isPainted(smallOf(page, 'a.jpg', 'control a.jpg'))).toBe(true);
    await soon(() => isPainted(smallOf(page, 'a.jpg', 'mask a.jpg'))).toBe(true);
    await cardOf(page, 'b.jpg').getByText('No mask', { exact: true }).waitFor();
    await filterOf(page, 'No control or mask 1').click();
    await soon(() => namesOf(page)).toEqual(['b.jpg']);
    await filterOf(page, 'All').click();

    await api.upload(masks, 'b.jpg', await media.jpeg());
    await soon(() => isPainted(smallOf(page, 'b.jpg', 'mask b.jpg'))).toBe(true);
    await page.getByText('READY', { exact: true }).waitFor();
    const before = await smallOf(page, 'b.jpg', 'mask b.jpg').locator('img').getAttribute('src');
    await api.upload(masks, 'b.jpg', await media.jpeg({ seed: 77 }));
    await soon(() => smallOf(page, 'b.jpg', 'mask b.jpg').locator('img').getAttribute('src')).not.toBe(before);
    await api.upload(depth, 'b.png', await media.png());
    await cardOf(page, 'b.jpg').getByText('2 files', { exact: true }).waitFor();
    await api.raw('DELETE', `/${depth}/files/a.jpg`);
    await cardOf(page, 'a.jpg').getByText('No control', { exact: true }).waitFor();
    await page.getByText('FAILED', { exact: true }).waitFor();

    // Links that are made elsewhere appear, too.
    await linkDatasets(api, id, {});
    await page.getByRole('list', { name: 'Controls and mask of a' }).waitFor({ state: 'detached' });
    await linkDatasets(api, id, { control_1: depth });
    await cardOf(page, 'a.jpg').getByText('No control', { exact: true }).waitFor();
    await close(visited);
  });

  test('are reached by keyboard, and open the comparison', async () => {
    const { api } = site;
    const id = await datasetOfRole(api, named('railway'), 'training', ['a', 'b']);
    const depth = await datasetOfRole(api, named('depth'), 'control', ['a', 'b']);
    await linkDatasets(api, id, { control_1: depth });
    const visited = await site.open(`/datasets/${id}`);
    const { page } = visited;
    await smallOf(page, 'a.jpg', 'control a.jpg').waitFor();
    await pictureOf(page, 'a.jpg').focus();
    await page.keyboard.press('Tab');
    await soon(() => focusedOf(page)).toBe('Compare with the control a.jpg');
    await page.keyboard.press('Enter');
    const viewer = page.getByRole('dialog');
    await soon(() => viewer.getByRole('button', { name: 'Control' }).getAttribute('aria-pressed')).toBe('true');
    await page.keyboard.press('Escape');
    await soon(() => focusedOf(page)).toBe('Open a.jpg');
    await page.keyboard.press('Tab');
    await page.keyboard.press('ArrowRight');
    await soon(() => focusedOf(page)).toBe('Open b.jpg');
    await close(visited);
  });

  test('that could not be read are named, until they are read again', async () => {
    const { api } = site;
    const id = await datasetOfRole(api, named('railway'), 'training', ['a']);
    const depth = await datasetOfRole(api, named('depth'), 'control', ['a']);
    await linkDatasets(api, id, { control_1: depth });
    const visited = await site.open('/');
    const { page, context } = visited;
    await context.route(`**/${depth}/status`, (route) => route.abort());
    await page.goto(`${site.server.url}/datasets/${id}`);
    await page.getByText('Could not read the controls and masks. Could not reach the service.').waitFor();
    await cardOf(page, 'a.jpg').waitFor();
    await context.unroute(`**/${depth}/status`);
    await page.getByRole('button', { name: 'Try again' }).click();
    await soon(() => isPainted(smallOf(page, 'a.jpg', 'control a.jpg'))).toBe(true);
    await close(visited);
  });

  test('are not shown by a share link, which shows no other dataset', async () => {
    const { api } = site;
    const id = await datasetOfRole(api, named('railway'), 'training', ['a']);
    const depth = await datasetOfRole(api, named('depth'), 'control', ['a']);
    await linkDatasets(api, id, { control_1: depth });
    const { url } = (await api.json<{ url: string }>('POST', `/${id}/shares`, { name: 'Ada' })).body;
    const visited = await site.open('/');
    await visited.page.goto(url);
    const { page } = visited;
    await cardOf(page, 'a.jpg').waitFor();
    expect(
      await cardOf(page, 'a.jpg')
        .getByText(/control/i)
        .count(),
    ).toBe(0);
    expect(await page.getByText('No control or mask').count()).toBe(0);
    expect(await page.getByText(depth).count()).toBe(0);
    await close(visited);
  });
});
