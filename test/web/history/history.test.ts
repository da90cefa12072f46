import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import type { WireRevisionPage } from '../../../src/api/history-schemas.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { captionedImages, datasetWith } from '../linked-datasets.js';
import { boxOf, captionOf, cardOf, isPainted, soon } from '../pairs/pairs-page.js';

describeInBrowser('the history', (site) => {
  /** A dataset of images of these stems with their captions: its first revision. */
  const datasetOf = async (captions: Record<string, string>) => datasetWith(site.api, await captionedImages(captions));

  const revisionsOf = async (id: string) =>
    (await site.api.request<WireRevisionPage>('GET', `/${id}/revisions`)).body.revisions;
  const rowOf = (page: Page, number: number) => page.getByRole('article', { name: `Revision ${number}`, exact: true });
  const messageOf = (page: Page) => page.getByRole('region', { name: 'Last change' });

  test('lists edits, with the changed words marked and the pictures that were added, and pins', async () => {
    const id = await datasetOf({ one: 'a red wagon' });
    const { page } = await site.open(`/datasets/${id}`);
    await captionOf(page, 'one.jpg').fill('a blue wagon');
    await captionOf(page, 'one.jpg').press('Control+Enter');
    await cardOf(page, 'one.jpg').getByText('Saved').waitFor();
    await page.getByRole('link', { name: 'History', exact: true }).click();
    await rowOf(page, 2).getByText('Replaced “red” with “blue”').waitFor();
    await rowOf(page, 2).getByText('1 changed').waitFor();
    await rowOf(page, 2).getByText('Now', { exact: true }).waitFor();
    await rowOf(page, 1).getByText('2 added').waitFor();
    const [latest] = await revisionsOf(id);
    await rowOf(page, 2).getByText(latest!.digest.slice(0, 12)).waitFor();

    await page.getByRole('link', { name: 'Revision 2' }).click();
    const differences = page.getByRole('list', { name: 'Differences' });
    await soon(() => differences.getByRole('deletion').textContent()).toBe('red');
    await soon(() => differences.getByRole('insertion').textContent()).toBe('blue');
    await page.getByLabel('Compared with').selectOption('No files');
    await page.getByText('2 added.').waitFor();
    await soon(() => isPainted(differences)).toBe(true);

    await page.getByRole('button', { name: 'Pin', exact: true }).click();
    await page.getByLabel('Note').fill('trained v3 on this');
    await page.getByRole('dialog').getByRole('button', { name: 'Pin', exact: true }).click();
    await page.getByText('Pinned: trained v3 on this').waitFor();
    expect((await revisionsOf(id))[0]!.pinned).toMatchObject({ note: 'trained v3 on this' });
    await page.getByRole('button', { name: 'Unpin' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Unpin' }).click();
    await page.getByText('Pinned:').waitFor({ state: 'detached' });
    expect((await revisionsOf(id))[0]!.pinned).toBeNull();

    await page.goto(`${site.server.url}/datasets/${id}/history?revision=1&show=files`);
    await page.getByRole('list', { name: 'Files of revision 1' }).getByText('a red wagon').waitFor();
  });

  test('restores a revision after it said what will change, and says when it is offline', async () => {
    const id = await datasetOf({ one: 'a red wagon', two: 'a signal' });
    await site.api.upload(id, 'one.txt', 'a blue wagon');
    await site.api.raw('DELETE', `/${id}/files/two.jpg`);
    await site.api.upload(id, 'three.txt', 'a bridge');
    const { page, context } = await site.open(`/datasets/${id}/history`);
    await page.getByRole('link', { name: 'Revision 1', exact: true }).click();
    await page.getByRole('button', { name: 'Restore' }).click();
    const dialog = page.getByRole('dialog', { name: 'Restore revision 1?' });
    for (const effect of ['1 file comes back: two.jpg', '1 file changes: one.txt', '1 file is removed: three.txt']) {
      await dialog.getByText(effect).waitFor();
    }
    await context.setOffline(true);
    await dialog.getByRole('button', { name: 'Restore' }).click();
    await dialog.getByText('Could not reach the service.').waitFor();
    await context.setOffline(false);
    await dialog.getByRole('button', { name: 'Restore' }).click();
    await dialog.waitFor({ state: 'detached' });
    await messageOf(page).getByText('Revision 1 restored.').waitFor();
    expect(await site.api.filenames(id)).toEqual(['one.jpg', 'one.txt', 'two.jpg', 'two.txt']);
    expect(await site.api.text(id, 'one.txt')).toBe('a red wagon');
    expect((await revisionsOf(id))[0]).toMatchObject({ how: 'restore', restored_from: 1 });

    await messageOf(page).getByRole('button', { name: 'Undo' }).click();
    await messageOf(page).getByText('Undone: 3 files restored.').waitFor();
    expect(await site.api.text(id, 'one.txt')).toBe('a blue wagon');
  });

  test('undoes a bulk change after a lost answer, a reload and in another tab, and makes it again', async () => {
    const id = await datasetOf({ one: 'a wagon', two: 'a signal', three: 'a bridge' });
    const { page } = await site.open(`/datasets/${id}`);
    let sent = 0;
    await page.route(/\/captions$/, async (route) => {
      if (route.request().method() !== 'PUT' || ++sent > 1) return route.continue();
      await route.fetch();
      return route.abort();
    });
    await page.getByLabel('Trigger word').fill('sks');
    await page.getByRole('button', { name: 'Change 3 captions' }).click();
    await messageOf(page).getByRole('button', { name: 'Undo' }).waitFor();
    expect((await revisionsOf(id))[0]).toMatchObject({ how: 'bulk', changed: 3, number: 2 });
    await page.reload();
    await messageOf(page).getByText('Prepend “sks” to 3 captions').waitFor();
    await site.api.upload(id, 'two.txt', 'sks, a signal at dusk');
    await messageOf(page).getByRole('button', { name: 'Undo' }).click();
    await messageOf(page).getByText('1 file was changed since and stays as it is: two.txt').waitFor();
    expect(await site.api.text(id, 'one.txt')).toBe('a wagon');
    expect(await site.api.text(id, 'two.txt')).toBe('sks, a signal at dusk');
    await messageOf(page).getByRole('button', { name: 'Redo' }).click();
    await messageOf(page).getByRole('button', { name: 'Undo', exact: true }).waitFor();
    expect(await site.api.text(id, 'one.txt')).toBe('sks, a wagon');

    const { number } = (await revisionsOf(id))[0]!;
    const other = await site.open(`/datasets/${id}/history`);
    await soon(() => messageOf(other.page).count()).toBe(0);
    await rowOf(other.page, 2).getByText('Prepended “sks”').waitFor();
    await other.page.getByRole('button', { name: `Undo revision ${number}` }).click();
    const dialog = other.page.getByRole('dialog', { name: `Undo revision ${number}?` });
    await dialog.getByRole('button', { name: 'Undo' }).click();
    await rowOf(other.page, number + 1)
      .getByText(`Undid ${number}`)
      .waitFor();
    expect(await site.api.text(id, 'one.txt')).toBe('a wagon');
  });

  test('undoes a deletion, and keeps a file that came since', async () => {
    const id = await datasetOf({ one: 'a wagon', two: 'a signal', three: 'a bridge' });
    const { page } = await site.open(`/datasets/${id}`);
    await boxOf(page, 'one.jpg').check();
    await boxOf(page, 'two.jpg').check();
    await page.keyboard.press('Delete');
    await page.getByRole('button', { name: 'Delete 4 files' }).click();
    await messageOf(page).getByText('4 files deleted.').waitFor();
    await cardOf(page, 'one.jpg').waitFor({ state: 'detached' });
    await site.api.upload(id, 'two.txt', 'another signal');
    await messageOf(page).getByRole('button', { name: 'Undo' }).click();
    await messageOf(page)
      .getByText('Undone: 3 files restored. 1 file was changed since and stays as it is: two.txt')
      .waitFor();
    await cardOf(page, 'one.jpg').waitFor();
    expect(await site.api.filenames(id)).toHaveLength(6);
    expect(await site.api.text(id, 'two.txt')).toBe('another signal');
    await messageOf(page).getByRole('button', { name: 'Dismiss the message' }).click();
    await soon(() => messageOf(page).count()).toBe(0);
  });
});
