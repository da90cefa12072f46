import { buffer } from 'node:stream/consumers';
import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { trainyard } from '../../harness/command.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { captionedImages, datasetWith } from '../linked-datasets.js';
import { boxOf, captionOf, soon } from '../pairs/pairs-page.js';

const train = (page: Page) => page.getByRole('region', { name: 'Train' });

describeInBrowser('the steps to a training run', (site) => {
  /** A READY dataset, its view Train, and what a button there copies. */
  async function readyDataset(name: string) {
    const id = await datasetWith(site.api, await captionedImages({ a: 'a wagon' }), { name });
    const { page, context } = await site.open(`/datasets/${id}/train`);
    await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: site.server.url });
    await train(page).waitFor();
    const copied = async (what: string) => {
      const button = train(page).getByRole('button', { name: `Copy ${what}` });
      await button.click();
      await page.getByText(`Copied ${what}`).waitFor();
      return page.evaluate(() => navigator.clipboard.readText());
    };
    return { id, page, copied };
  }

  test('are for this dataset at this address, and can be copied', async () => {
    const { id, page, copied } = await readyDataset('red wagons');
    const { url } = site.server;
    const { digest = '' } = (await site.api.status(id)).body;
    await train(page).getByText('Only this machine can open an address with').waitFor();
    expect(await copied('the line that installs the command')).toBe(`npm i -g ${url}/cli.tgz`);
    expect(await copied('the line that signs in')).toBe(`trainyard login ${url}`);
    expect(await copied('the line that mounts the dataset')).toBe(
      `trainyard mount 'red wagons' --into /workspace/datasets --digest ${digest}`,
    );
    await site.api.json('PUT', `/${id}/captions`, { captions: [{ filename: 'a.txt', text: 'a red wagon' }] });
    const after = (await site.api.status(id)).body.digest ?? '';
    await train(page).getByText(`--digest ${after}`).waitFor();
    await train(page).getByText('has curl and tar alone').click();
    await train(page).getByRole('button', { name: 'Create a link' }).click();
    const unpack = train(page).getByText('tar -x');
    await unpack.waitFor();
    await site.api.link(id, 'b.jpg', 1);
    await page.getByText('Not ready to train on').waitFor();
    await site.api.raw('DELETE', `/${id}/files/b.jpg`);
    // The same bytes, and then their thumbnail.
    await site.api.upload(id, 'a.jpg', (await captionedImages({ a: '' }))['a.jpg']!);
    await soon(async () => (await site.api.status(id)).body.files.filter(({ thumbhash }) => thumbhash)).toHaveLength(1);
    await site.api.json('PATCH', `/${id}`, { name: 'blue wagons' });
    await page.getByRole('heading', { name: 'blue wagons' }).waitFor();
    expect(await unpack.count()).toBe(1);
  });

  test('end with the settings for a trainer, which are those of the command', async () => {
    const { id, page, copied } = await readyDataset('for settings');
    const { stdout } = await trainyard(['train-config', 'for settings', '--into', '/elsewhere'], {
      env: { TRAINYARD_URL: site.server.url, TRAINYARD_TOKEN: site.api.token },
    });
    await train(page).getByLabel('Folder of datasets there').fill('/elsewhere');
    const settings = train(page).getByRole('region', { name: 'Settings' });
    await expect.poll(async () => `${await settings.textContent()}\n`).toBe(stdout);
    expect(await copied('the settings for ai-toolkit')).toBe(stdout);
    await train(page).getByLabel('Trainer').selectOption('kohya');
    await settings.getByText('[[datasets]]').waitFor();
    await train(page).getByText("trainyard mount 'for settings' --into /elsewhere").waitFor();
    for (const text of ['', '~/sets', 'sets']) {
      await train(page).getByLabel('Folder of datasets there').fill(text);
      await train(page).getByRole('alert').getByText('The lines below still have /elsewhere.').waitFor();
      await train(page).getByText('--into /elsewhere').waitFor();
    }
    await site.api.raw('DELETE', `/${id}/files/a.txt`);
    await page.getByText('Not ready to train on').waitFor();
    await site.api.upload(id, 'a.txt', 'a wagon');
    await train(page).getByText('--into /elsewhere').waitFor();
  });
});

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
    // What is typed stays when the pair's caption goes.
    await group.fill('x');
    await site.api.raw('DELETE', `/${id}/files/b.txt`);
    await soon(() => captionOf(page, 'b.jpg').inputValue()).toBe('');
    expect(await group.inputValue()).toBe('x');
    await site.api.json('PUT', `/${id}/groups/dog`, { repeats: 3, add: ['b.jpg'] });
    await inspector.getByText('· 3 ×').waitFor();
    expect(await group.inputValue()).toBe('x');
    await site.api.upload(id, 'b.txt', 'a signal');
    await group.fill('');
    await group.press('Enter');
    await soon(groupsNow).toMatchObject([{ files: 2 }]);

    await page.getByRole('link', { name: 'Train', exact: true }).click();
    const row = page.getByRole('region', { name: 'Groups' }).getByRole('listitem', { name: 'cat woman' });
    await page.route(/\/groups\//, (route) => route.abort());
    await row.getByLabel('Repeats').fill('9');
    await row.getByLabel('Repeats').press('Enter');
    await soon(() => row.getByLabel('Repeats').inputValue()).toBe('1');
    await row.getByLabel('Regularisation').click();
    await soon(() => row.getByLabel('Regularisation').isChecked()).toBe(false);
    await page.unroute(/\/groups\//);
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
