import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import * as media from '../../fixtures/media.js';
import { trainyard } from '../../harness/command.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';

const train = (page: Page) => page.getByRole('region', { name: 'Train' });

describeInBrowser('the steps to a training run', (site) => {
  /** A READY dataset and its view "Fit to train?". */
  async function readyDataset(name: string, more: Record<string, Buffer | string> = {}) {
    const id = await site.api.newDataset(name);
    await site.api.upload(id, 'a.jpg', await media.jpeg());
    await site.api.upload(id, 'a.txt', 'a wagon');
    for (const [filename, bytes] of Object.entries(more)) await site.api.upload(id, filename, bytes);
    const visited = await site.open(`/datasets/${id}/fitness`);
    await train(visited.page).waitFor();
    return { id, ...visited };
  }

  test('are for this dataset at this address, and can be copied', async () => {
    const { id, page, context, browserErrors } = await readyDataset('red wagons');
    const { url } = site.server;
    await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: url });
    const { digest = '' } = (await site.api.status(id)).body;
    const copied = async (what: string) => {
      await train(page)
        .getByRole('button', { name: `Copy ${what}` })
        .click();
      await page.getByText(`Copied ${what}`).waitFor();
      return page.evaluate(() => navigator.clipboard.readText());
    };
    expect(await copied('the line that installs the command')).toBe(`npm i -g ${url}/cli.tgz`);
    expect(await copied('the line that signs in')).toBe(`trainyard login ${url}`);
    expect(await copied('the line that mounts the dataset')).toBe(
      `trainyard mount 'red wagons' --into /workspace/datasets --digest ${digest}`,
    );
    expect(browserErrors).toEqual([]);
  });

  test('end with the settings for a trainer, which are those of the command', async () => {
    const { page, context, browserErrors } = await readyDataset('for settings');
    await context.grantPermissions(['clipboard-read', 'clipboard-write'], { origin: site.server.url });
    const { stdout } = await trainyard(['train-config', 'for settings', '--into', '/elsewhere'], {
      env: { TRAINYARD_URL: site.server.url, TRAINYARD_TOKEN: site.api.token },
    });
    await train(page).getByLabel('Folder of datasets there').fill('/elsewhere');
    const settings = train(page).getByRole('region', { name: 'Settings' });
    await expect.poll(async () => `${await settings.textContent()}\n`).toBe(stdout);
    await train(page).getByRole('button', { name: 'Copy the settings for ai-toolkit' }).click();
    await page.getByText('Copied the settings').waitFor();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(stdout);
    await train(page).getByLabel('Trainer').selectOption('kohya');
    await settings.getByText('[[datasets]]').waitFor();
    await train(page).getByText("trainyard mount 'for settings' --into /elsewhere").waitFor();
    expect(browserErrors).toEqual([]);
  });

  test('of a dataset with images and clips are shown for both, and for each alone', async () => {
    const { page } = await readyDataset('mixed', { 'b.mp4': media.clip('faststart.mp4'), 'b.txt': 'a film' });
    const settings = train(page).getByRole('region', { name: 'Settings' });
    await settings.getByText('num_frames').first().waitFor();
    await settings.getByText('1 image and 1 clip').waitFor();
    await train(page).getByRole('group', { name: 'Train on' }).getByText('Images', { exact: true }).click();
    await train(page).getByText('--only images').waitFor();
    expect(await settings.textContent()).not.toContain('num_frames');
  });

  test('keep the last folder of datasets that is a path from the root, and say so', async () => {
    const { page, browserErrors } = await readyDataset('for a folder');
    const root = train(page).getByLabel('Folder of datasets there');
    await root.fill('/srv/sets');
    for (const text of ['', '~/sets', 'sets']) {
      await root.fill(text);
      await train(page).getByRole('alert').getByText('The lines below still have /srv/sets.').waitFor();
      await train(page).getByText('--into /srv/sets').waitFor();
    }
    await root.fill(' /data ');
    await train(page).getByText('--into /data').waitFor();
    expect(await train(page).getByText('still have').count()).toBe(0);
    expect(browserErrors).toEqual([]);
  });

  test('need no Node, with a link', async () => {
    const { page, browserErrors } = await readyDataset('without node');
    await train(page).getByRole('group', { name: 'The training machine' }).getByText('has curl and tar alone').click();
    expect(await train(page).getByText('npm i -g').count()).toBe(0);
    await train(page).getByRole('button', { name: 'Create a link' }).click();
    await train(page).getByText('| tar -x -C /workspace/datasets').waitFor();
    expect(browserErrors).toEqual([]);
  });

  test('name a dataset by its id where its name would be taken for an option', async () => {
    const { id, page } = await readyDataset('-x');
    await train(page).getByText(`trainyard mount ${id} --into`).waitFor();
  });
});
