import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import type { WireRevisionPage } from '../../../src/api/history-schemas.js';
import { operationOf } from '../../../web/history/operation.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { captionedImages, openDataset } from '../linked-datasets.js';
import { captionOf, cardOf, isPainted, onSave, soon } from '../pairs/pairs-page.js';

describeInBrowser('the history', (site) => {
  /** A dataset of images of these stems with their captions: its first revision. */
  const openWith = (captions: Record<string, string>, path = '') => openDataset(site, captionedImages(captions), path);

  const revisionsOf = async (id: string) =>
    (await site.api.request<WireRevisionPage>('GET', `/${id}/revisions`)).body.revisions;
  const rowOf = (page: Page, number: number) => page.getByRole('article', { name: `Revision ${number}`, exact: true });
  const messageOf = (page: Page) => page.getByRole('region', { name: 'Last change' });

  test('lists edits, with the changed words marked and the pictures that were added, and pins', async () => {
    const { id, page } = await openWith({ one: 'a red wagon' });
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
    const { id, page, context } = await openWith({ one: 'a red wagon', two: 'a signal' }, '/history');
    await site.api.upload(id, 'one.txt', 'a blue wagon');
    await site.api.raw('DELETE', `/${id}/files/two.jpg`);
    await site.api.upload(id, 'three.txt', 'a bridge');
    await page.clock.install();
    await page.getByRole('link', { name: 'Revision 1', exact: true }).click();
    await page.getByRole('button', { name: 'Restore' }).click();
    const dialog = page.getByRole('dialog', { name: 'Restore revision 1?' });
    for (const effect of ['1 file comes back: two.jpg', '1 file changes: one.txt', '1 file is removed: three.txt']) {
      await dialog.getByText(effect).waitFor();
    }
    await context.setOffline(true);
    await dialog.getByRole('button', { name: 'Restore' }).click();
    await dialog.getByText('Could not reach the service.').waitFor();
    await dialog.getByRole('button', { name: 'Restore' }).waitFor();
    await context.setOffline(false);
    await dialog.getByRole('button', { name: 'Restore' }).click();
    await dialog.waitFor({ state: 'detached' });
    await messageOf(page).getByText('Revision 1 restored.').waitFor();
    expect(await site.api.filenames(id)).toEqual(['one.jpg', 'one.txt', 'two.jpg', 'two.txt']);
    expect(await site.api.text(id, 'one.txt')).toBe('a red wagon');
    expect((await revisionsOf(id))[0]).toMatchObject({ how: 'restore', restored_from: 1 });

    // Its message has left.
    await page.clock.fastForward(11_000);
    await messageOf(page).waitFor({ state: 'detached' });
    await page.keyboard.press('Control+z');
    await messageOf(page).getByText('Undone: 3 files restored.').waitFor();
    expect(await site.api.text(id, 'one.txt')).toBe('a blue wagon');
    await context.close();
  });

  test('undoes a bulk change after a lost answer, a reload and in another tab, and makes it again', async () => {
    const { id, page } = await openWith({ one: 'a wagon', two: 'a signal', three: 'a bridge' });
    await onSave(page, (route, count) => (count > 1 ? route.continue() : route.fetch().then(() => route.abort())));
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

    await messageOf(page).getByRole('button', { name: 'Dismiss the message' }).click();
    await soon(() => messageOf(page).count()).toBe(0);

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
    await other.page.getByRole('link', { name: `Revision ${number + 1}`, exact: true }).click();
    await other.page.getByText('2 changed.').waitFor();
    await other.page.getByLabel('Compared with').selectOption('2');
    await other.page.getByText('3 changed.').waitFor();
  });
});

const wordsOf = (...changes: [string, string][]) => operationOf(changes.map(([before, after]) => ({ before, after })));

test('an operation on all captions alike is named by what it did', () => {
  expect(wordsOf(['a wagon', 'evng, a wagon'], ['city, sky', 'evng, city, sky'])).toBe('Prepended “evng”');
  expect(wordsOf(['a wagon', 'a wagon, dusk'], ['city', 'city, dusk'])).toBe('Appended “dusk”');
  expect(wordsOf(['a, city, sky', 'a, sky'], ['city, b', 'b'])).toBe('Removed the tag “city”');
  expect(wordsOf(['a, blue_sky', 'a, blue sky'], ['blue_sky, b', 'blue sky, b'])).toBe(
    'Renamed the tag “blue_sky” to “blue sky”',
  );
  expect(wordsOf(['a red wagon', 'a blue wagon'], ['the red sky', 'the blue sky'])).toBe('Replaced “red” with “blue”');
});

test('captions that changed in different ways have no such words', () => {
  expect(wordsOf(['a wagon', 'one wagon'], ['a train', 'a red train'])).toBeUndefined();
  expect(wordsOf(['a wagon', 'evng, a wagon'], ['a train', 'dusk, a train'])).toBeUndefined();
  expect(wordsOf(['a', 'x'.repeat(100)])).toBeUndefined();
  expect(wordsOf()).toBeUndefined();
});
