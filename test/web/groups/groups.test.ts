import { buffer } from 'node:stream/consumers';
import { expect, test } from 'vitest';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { captionedImages, datasetWith } from '../linked-datasets.js';
import { boxOf, soon } from '../pairs/pairs-page.js';

describeInBrowser('groups', (site) => {
  test('are made from selected pictures, and get their repeats where the trainer gets its settings', async () => {
    const files = await captionedImages({ a: 'a wagon', b: 'a signal', c: 'a crane' });
    const id = await datasetWith(site.api, files, { name: 'grouped' });
    const groupsNow = async () => (await site.api.status(id)).body.groups;
    const { page } = await site.open(`/datasets/${id}`);
    const inspector = page.getByRole('complementary', { name: 'Inspector' });
    await boxOf(page, 'a.jpg').check();
    await boxOf(page, 'b.jpg').check();
    const group = inspector.getByLabel('Group');
    await group.fill('cat woman');
    await group.press('Enter');
    await soon(groupsNow).toEqual([{ name: 'cat woman', repeats: 1, is_reg: false, files: 4 }]);
    await inspector.getByText('· 1 ×').waitFor();

    await boxOf(page, 'b.jpg').uncheck();
    await soon(() => group.inputValue()).toBe('cat woman');
    await group.fill('');
    await group.press('Enter');
    await soon(groupsNow).toMatchObject([{ files: 2 }]);

    await page.getByRole('link', { name: 'Train', exact: true }).click();
    const row = page.getByRole('region', { name: 'Groups' }).getByRole('listitem', { name: 'cat woman' });
    await row.getByLabel('Repeats').fill('10');
    await row.getByLabel('Repeats').press('Enter');
    await row.getByLabel('Regularisation').check();
    await soon(groupsNow).toMatchObject([{ repeats: 10, is_reg: true }]);
    const settings = page.getByRole('region', { name: 'Settings' });
    await soon(() => settings.textContent()).toContain('/workspace/datasets/grouped/reg/10_cat woman');
    await row.getByRole('button', { name: 'Delete the group cat woman' }).click();
    await page.getByRole('region', { name: 'Groups' }).waitFor({ state: 'detached' });
    expect(await groupsNow()).toBeUndefined();
  });

  test('a selection is downloaded as a zip archive, and the captions of the dataset as a table', async () => {
    const id = await datasetWith(site.api, await captionedImages({ a: 'a wagon', b: 'a signal' }), { name: 'forms' });
    const { page } = await site.open(`/datasets/${id}`);
    const downloaded = async (click: () => Promise<void>) => {
      const [download] = await Promise.all([page.waitForEvent('download'), click()]);
      const text = (await buffer(await download.createReadStream())).toString('latin1');
      return { name: download.suggestedFilename(), text };
    };
    await boxOf(page, 'b.jpg').check();
    const selection = page.getByRole('region', { name: 'Selection' });
    const { name, text } = await downloaded(() => selection.getByRole('button', { name: 'Download' }).click());
    expect(name).toBe('selection.zip');
    expect(new Set(text.match(/[ab]\.(jpg|txt)/g))).toEqual(new Set(['b.jpg', 'b.txt']));
    await page.getByRole('button', { name: 'Download', expanded: false }).first().click();
    const table = await downloaded(() => page.getByRole('link', { name: 'Only captions, csv' }).click());
    expect(table).toEqual({
      name: 'forms captions.csv',
      text: 'file_name,text\r\n"a.jpg","a wagon"\r\n"b.jpg","a signal"\r\n',
    });
  });
});
