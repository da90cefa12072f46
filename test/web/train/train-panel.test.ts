import type { Page } from 'playwright-core';
import { expect, test } from 'vitest';
import { trainyard } from '../../harness/command.js';
import { describeInBrowser } from '../../harness/describe-in-browser.js';
import { captionedImages, datasetWith } from '../linked-datasets.js';

const train = (page: Page) => page.getByRole('region', { name: 'Train' });

describeInBrowser('the steps to a training run', (site) => {
  /** A READY dataset and its view Train. */
  async function readyDataset(name: string) {
    const id = await datasetWith(site.api, await captionedImages({ a: 'a wagon' }), { name });
    const visited = await site.open(`/datasets/${id}/train`);
    await train(visited.page).waitFor();
    return { id, ...visited };
  }

  test('are for this dataset at this address, and can be copied', async () => {
    const { id, page, context } = await readyDataset('red wagons');
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
    await train(page).getByText('Only this machine can open an address with').waitFor();
    expect(await copied('the line that installs the command')).toBe(`npm i -g ${url}/cli.tgz`);
    expect(await copied('the line that signs in')).toBe(`trainyard login ${url}`);
    expect(await copied('the line that mounts the dataset')).toBe(
      `trainyard mount 'red wagons' --into /workspace/datasets --digest ${digest}`,
    );
  });

  test('end with the settings for a trainer, which are those of the command', async () => {
    const { page, context } = await readyDataset('for settings');
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
    for (const text of ['', '~/sets', 'sets']) {
      await train(page).getByLabel('Folder of datasets there').fill(text);
      await train(page).getByRole('alert').getByText('The lines below still have /elsewhere.').waitFor();
      await train(page).getByText('--into /elsewhere').waitFor();
    }
  });
});
