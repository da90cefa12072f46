import type { Page } from 'playwright-core';
import { beforeAll, expect, test } from 'vitest';
import type { WireRevisionPage } from '../../../src/api/history-schemas.js';
import * as media from '../../fixtures/media.js';
import { visit } from '../../harness/browser.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { boxOf, cardOf, close, focusedOf, soon } from '../pairs/pairs-page.js';

describeInBrowser('the history', (site) => {
  let image: Buffer;
  beforeAll(async () => {
    image = await media.jpeg();
  });

  /** A dataset of images of these stems with their captions: its first revision. */
  async function datasetOf(captions: Record<string, string>): Promise<string> {
    const id = await site.api.newDataset();
    for (const [stem, text] of Object.entries(captions)) {
      await site.api.upload(id, `${stem}.jpg`, image);
      await site.api.upload(id, `${stem}.txt`, text);
    }
    return id;
  }

  const textOf = async (id: string, name: string) => (await site.api.raw('GET', `/${id}/files/${name}`)).text();
  const revisionsOf = async (id: string) =>
    (await site.api.request<WireRevisionPage>('GET', `/${id}/revisions`)).body.revisions;
  const rowOf = (page: Page, number: number) => page.getByRole('article', { name: `Revision ${number}`, exact: true });
  const messageOf = (page: Page) => page.getByRole('region', { name: 'Last change' });

  /** Prepends a trigger word to all captions, on the view Captions. */
  async function prepend(page: Page, count: number): Promise<void> {
    await page.getByLabel('Trigger word').fill('sks');
    await page.getByRole('button', { name: `Change ${count} captions` }).click();
    await messageOf(page).getByText(`${count} captions changed.`).waitFor();
  }

  test('lists edits, with the changed words marked and the pictures that were added', async () => {
    const id = await datasetOf({ one: 'a red wagon' });
    const visited = await site.open(`/datasets/${id}`);
    const { page } = visited;
    await page.getByLabel('Caption of one.jpg').fill('a blue wagon');
    await page.getByLabel('Caption of one.jpg').press('Control+Enter');
    await cardOf(page, 'one.jpg').getByText('Saved').waitFor();
    await page.getByRole('link', { name: 'History', exact: true }).click();
    await rowOf(page, 2).getByText('Edited on the page').waitFor();
    await rowOf(page, 2).getByText('1 changed').waitFor();
    await rowOf(page, 2).getByText('Now', { exact: true }).waitFor();
    await rowOf(page, 1).getByText('2 added').waitFor();
    const [latest] = await revisionsOf(id);
    await rowOf(page, 2).getByText(latest!.digest.slice(0, 12)).waitFor();
    await rowOf(page, 2).getByRole('button', { name: 'Copy the digest of revision 2' }).waitFor();

    await page.getByRole('link', { name: 'Revision 2' }).click();
    const differences = page.getByRole('list', { name: 'Differences' });
    expect(await differences.getByRole('deletion').textContent()).toBe('red');
    expect(await differences.getByRole('insertion').textContent()).toBe('blue');
    expect(await page.evaluate(() => document.activeElement?.textContent)).toBe('Revision 2');
    await page.getByLabel('Compared with').selectOption('No files');
    await page.getByText('2 added.').waitFor();
    await differences.getByText('Added', { exact: true }).waitFor();
    await soon(() =>
      differences.locator('img').evaluate((picture: HTMLImageElement) => picture.naturalWidth),
    ).toBeGreaterThan(0);

    await page.goto(`${site.server.url}/datasets/${id}/history?revision=1&show=files`);
    await page.getByRole('list', { name: 'Files of revision 1' }).getByText('a red wagon').waitFor();
    await page.getByRole('link', { name: 'All revisions' }).click();
    await rowOf(page, 2).waitFor();
    await page.goto(`${site.server.url}/datasets/${id}/history?revision=7`);
    await page.getByText('The history has no revision 7.').waitFor();
    await close(visited);
  });

  test('restores a revision after it said what will change, and says when it is offline', async () => {
    const id = await datasetOf({ one: 'a red wagon', two: 'a signal' });
    await site.api.upload(id, 'one.txt', 'a blue wagon');
    await site.api.raw('DELETE', `/${id}/files/two.jpg`);
    await site.api.upload(id, 'three.txt', 'a bridge');
    const visited = await site.open(`/datasets/${id}/history`);
    const { page, context } = visited;
    await page.getByRole('link', { name: 'Revision 1', exact: true }).click();
    await page.getByRole('button', { name: 'Restore' }).click();
    const dialog = page.getByRole('dialog', { name: 'Restore revision 1?' });
    for (const effect of ['1 file comes back: two.jpg', '1 file changes: one.txt', '1 file is removed: three.txt']) {
      await dialog.getByText(effect).waitFor();
    }
    await context.setOffline(true);
    await dialog.getByRole('button', { name: 'Restore' }).click();
    await dialog.getByText('Restoring …').waitFor();
    await dialog.getByText('Could not reach the service.').waitFor();
    await context.setOffline(false);
    await dialog.getByRole('button', { name: 'Restore' }).click();
    await dialog.waitFor({ state: 'detached' });
    await messageOf(page).getByText('Revision 1 restored.').waitFor();
    expect(await site.api.filenames(id)).toEqual(['one.jpg', 'one.txt', 'two.jpg', 'two.txt']);
    expect(await textOf(id, 'one.txt')).toBe('a red wagon');
    expect((await revisionsOf(id))[0]).toMatchObject({ how: 'restore', restored_from: 1 });

    await messageOf(page).getByRole('button', { name: 'Undo' }).click();
    await messageOf(page).getByText('Undone: 3 files restored.').waitFor();
    expect(await textOf(id, 'one.txt')).toBe('a blue wagon');
    await page.getByRole('link', { name: 'All revisions' }).click();
    await page.getByText('Restored from 1').waitFor();
    await soon(() => focusedOf(page).then(() => page.evaluate(() => document.activeElement?.textContent))).toBe(
      'Revision 1',
    );
    await close(visited);
  });

  test('undoes a bulk change after the page was loaded again, and makes it again', async () => {
    const id = await datasetOf({ one: 'a wagon', two: 'a signal', three: 'a bridge' });
    const visited = await site.open(`/datasets/${id}/captions`);
    const { page } = visited;
    await prepend(page, 3);
    expect((await revisionsOf(id))[0]).toMatchObject({ how: 'bulk', changed: 3, number: 2 });
    await page.reload();
    await messageOf(page).getByText('Prepend “sks” to 3 captions: 3 captions changed.').waitFor();
    await site.api.upload(id, 'two.txt', 'sks, a signal at dusk');
    await messageOf(page).getByRole('button', { name: 'Undo' }).click();
    await messageOf(page).getByText('1 file was changed since and stays as it is: two.txt').waitFor();
    expect(await textOf(id, 'one.txt')).toBe('a wagon');
    expect(await textOf(id, 'two.txt')).toBe('sks, a signal at dusk');
    await messageOf(page).getByRole('button', { name: 'Redo' }).click();
    await messageOf(page).getByRole('button', { name: 'Undo', exact: true }).waitFor();
    expect(await textOf(id, 'one.txt')).toBe('sks, a wagon');
    await messageOf(page).getByRole('button', { name: 'Dismiss the message' }).click();
    await page.reload();
    await page.getByLabel('Trigger word').waitFor();
    expect(await messageOf(page).count()).toBe(0);
    await close(visited);
  });

  test('undoes a bulk change whose answer was lost', async () => {
    const id = await datasetOf({ one: 'a wagon', two: 'a signal' });
    const visited = await site.open(`/datasets/${id}/captions`);
    const { page } = visited;
    let sent = 0;
    await page.route(/\/captions$/, async (route) => {
      if (route.request().method() !== 'PUT' || ++sent > 1) return route.continue();
      await route.fetch();
      return route.abort();
    });
    await page.getByLabel('Trigger word').fill('sks');
    await page.getByRole('button', { name: 'Change 2 captions' }).click();
    await messageOf(page).getByRole('button', { name: 'Undo' }).click();
    await messageOf(page).getByText('Undone: 2 files restored.').waitFor();
    expect(await textOf(id, 'one.txt')).toBe('a wagon');
    await close(visited);
  });

  test('undoes a deletion, and keeps a file that came since', async () => {
    const id = await datasetOf({ one: 'a wagon', two: 'a signal', three: 'a bridge' });
    const visited = await site.open(`/datasets/${id}`);
    const { page } = visited;
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
    await cardOf(page, 'two.jpg').waitFor();
    expect(await site.api.filenames(id)).toHaveLength(6);
    expect(await textOf(id, 'two.txt')).toBe('another signal');
    await page.getByRole('link', { name: 'History' }).first().click();
    await rowOf(page, 2).getByText('Deleted on the page').waitFor();
    await close(visited);
  });

  test('deletes only the version of a file that the user has seen', async () => {
    const id = await datasetOf({ one: 'a wagon' });
    const visited = await site.open(`/datasets/${id}`);
    const { page } = visited;
    await boxOf(page, 'one.jpg').check();
    await page.keyboard.press('Delete');
    const question = page.getByRole('button', { name: 'Delete 2 files' });
    await question.waitFor();
    await site.api.upload(id, 'one.txt', 'another wagon');
    await question.click();
    const alert = page.getByRole('alert').filter({ hasText: '1 file could not be deleted.' });
    await alert.getByText('It was changed after you selected it.').waitFor();
    expect(await site.api.filenames(id)).toEqual(['one.txt']);
    await alert.getByRole('button', { name: 'Try again' }).click();
    await messageOf(page).getByText('2 files deleted.').waitFor();
    expect(await site.api.filenames(id)).toEqual([]);
    await close(visited);
  });

  test('offers to undo any revision, also in another tab', async () => {
    const id = await datasetOf({ one: 'a wagon', two: 'a signal' });
    const first = await site.open(`/datasets/${id}/captions`);
    await prepend(first.page, 2);
    await close(first);
    const visited = await site.open(`/datasets/${id}/history`);
    const { page } = visited;
    expect(await messageOf(page).count()).toBe(0);
    await page.getByRole('button', { name: 'Undo revision 2' }).click();
    const dialog = page.getByRole('dialog', { name: 'Undo revision 2?' });
    await dialog.getByText('Bulk change: 2 changed').waitFor();
    await dialog.getByRole('button', { name: 'Undo' }).click();
    await rowOf(page, 3).getByText('Undid 2').waitFor();
    expect(await textOf(id, 'two.txt')).toBe('a signal');
    await close(visited);
  });

  test('pins a revision with a note, and unpins it', async () => {
    const id = await datasetOf({ one: 'a wagon' });
    const visited = await site.open(`/datasets/${id}/history?revision=1`);
    const { page } = visited;
    await page.getByRole('button', { name: 'Pin', exact: true }).click();
    await page.getByLabel('Note').fill('trained v3 on this');
    await page.getByRole('dialog').getByRole('button', { name: 'Pin', exact: true }).click();
    await page.getByText('Pinned: trained v3 on this').waitFor();
    expect((await revisionsOf(id))[0]!.pinned).toMatchObject({ note: 'trained v3 on this' });
    await page.getByRole('button', { name: 'Unpin' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Unpin' }).click();
    await page.getByText('Pinned:').waitFor({ state: 'detached' });
    expect((await revisionsOf(id))[0]!.pinned).toBeNull();
    await close(visited);
  });

  test('has pages of 50 revisions', async () => {
    const id = await site.api.newDataset();
    for (let i = 1; i <= 53; i++) await site.api.upload(id, 'one.txt', `text ${i}`);
    const visited = await site.open(`/datasets/${id}/history`, { width: 390 });
    const { page } = visited;
    await rowOf(page, 53).waitFor();
    expect(await rowOf(page, 3).count()).toBe(0);
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(390);
    await page.getByRole('button', { name: 'Older', exact: true }).click();
    await rowOf(page, 1).waitFor();
    expect(await page.getByRole('button', { name: 'Older', exact: true }).count()).toBe(0);
    // A new revision appears by itself.
    await site.api.upload(id, 'one.txt', 'text 54');
    await rowOf(page, 54).waitFor();
    expect(await page.getByRole('article').count()).toBe(54);
    await close(visited);
  });

  test('shows a token that only reads no control that writes', async () => {
    const id = await datasetOf({ one: 'a wagon' });
    await site.api.upload(id, 'one.txt', 'a signal');
    const token = await site.readOnlyToken();
    const visited = await visit(site.browser, site.server, {
      token,
      path: `/datasets/${id}/history`,
    });
    const { page } = visited;
    await page.getByText('a token that only reads').waitFor();
    await rowOf(page, 2).waitFor();
    await soon(() => page.getByRole('button', { name: 'Undo' }).count()).toBe(0);
    await page.getByRole('link', { name: 'Revision 1', exact: true }).click();
    await page.getByRole('list', { name: 'Differences' }).getByText('a wagon').waitFor();
    expect(await page.getByRole('button', { name: /Undo|Restore|Pin/ }).count()).toBe(0);
    await close(visited);
  });
});
