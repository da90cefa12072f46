import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { TrainyardClient } from '../../../src/client/client.js';
import { describeInBrowser, runProxy } from '../../harness/describe-in-browser.js';
import type { BreakingProxy } from '../../harness/proxy.js';
import { eventually } from '../../harness/server.js';
import { datasetWith } from '../linked-datasets.js';
import { soon } from '../pairs/pairs-page.js';

describeInBrowser('a change that is interrupted', (site) => {
  let proxy: BreakingProxy;
  runProxy(site, (started) => {
    proxy = started;
  });
  const messageOf = (page: Page) => page.getByRole('region', { name: 'Last change' });

  test('in the middle of its undo is made again as a whole', async () => {
    const id = await datasetWith(site.api, { 'a.txt': 'old a', 'b.txt': 'old b', 'c.txt': 'old c' });
    const { token } = site.api;
    const bulk = new TrainyardClient({ baseUrl: site.server.url, token, change: { how: 'bulk', id: 'x1' } });
    await bulk.bulk.saveCaptions(id, [{ filename: 'a.txt', text: 'new a' }]);
    await site.api.upload(id, 'c.txt', 'of another client');
    await bulk.bulk.saveCaptions(id, [{ filename: 'b.txt', text: 'new b' }]);
    const { revisions } = await bulk.history.revisions(id, {});
    const numbers = revisions.filter(({ change_id }) => change_id === 'x1').map(({ number }) => number);
    expect(numbers.length).toBe(2);

    const { page } = await site.open('/', { at: proxy });
    const change = { [id]: { text: '2 captions changed.', kept: [], isUndo: false, made: { changeId: 'x1' } } };
    await page.evaluate((text) => sessionStorage.setItem('trainyard-recent-changes', text), JSON.stringify(change));
    await page.goto(`${proxy.url}/datasets/${id}`);
    proxy.rule(({ path }) =>
      path.endsWith(`/revisions/${numbers[1]}/undo`) ? { status: 400, body: 'no' } : undefined,
    );
    await messageOf(page).getByRole('button', { name: 'Undo' }).click();
    await messageOf(page).getByText('Could not undo it.').waitFor();
    expect([await site.api.text(id, 'a.txt'), await site.api.text(id, 'b.txt')]).toEqual(['new a', 'old b']);
    proxy.rule();
    await page.reload();
    await messageOf(page).getByRole('button', { name: 'Undo' }).click();
    await messageOf(page).getByText('Undone: 2 files restored.').waitFor();
    await messageOf(page).getByRole('button', { name: 'Redo' }).click();
    await messageOf(page).getByRole('button', { name: 'Undo', exact: true }).waitFor();
    expect([await site.api.text(id, 'a.txt'), await site.api.text(id, 'b.txt')]).toEqual(['new a', 'new b']);
  });

  test('in the middle of a deletion asks before the page is left, and what was deleted can be undone', {
    tags: ['long'],
  }, async () => {
    const id = await site.api.newDataset();
    const names = Array.from({ length: 150 }, (_, i) => `${String(i).padStart(3, '0')}.txt`);
    await site.api.json('PUT', `/${id}/captions`, {
      captions: names.map((filename) => ({ filename, text: filename })),
    });
    const { page } = await site.open(`/datasets/${id}`, { at: proxy });
    await page.getByText('150 pairs').first().waitFor();
    await page.getByLabel('Select all').check();
    let requests = 0;
    proxy.rule(({ method, pathname }) =>
      method === 'DELETE' && pathname.endsWith('/files') && ++requests === 2 ? { holdAfterBytes: 1 } : undefined,
    );
    await page.getByRole('button', { name: 'Delete', exact: true }).click();
    await page.getByRole('button', { name: 'Delete 150 files' }).click();
    await eventually(() => (requests === 2 ? true : undefined));
    const dialogs: string[] = [];
    page.on('dialog', (dialog) => {
      dialogs.push(dialog.type());
      void dialog.accept();
    });
    await page.reload();
    expect(dialogs).toEqual(['beforeunload']);
    expect((await site.api.filenames(id)).length).toBe(50);
    await messageOf(page).getByText('100 files deleted.').waitFor();
    await messageOf(page).getByRole('button', { name: 'Undo' }).click();
    await soon(async () => (await site.api.filenames(id)).length).toBe(150);
  });
});
